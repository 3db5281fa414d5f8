#pragma once
#include <cmath>
#include <limits>

namespace mpp::speech {

/// Smallest float >= value; +infinity above the largest float.
inline float float_above(double value) noexcept {
  constexpr float inf = std::numeric_limits<float>::infinity();
  if (value > std::numeric_limits<float>::max()) return inf;  // the conversion would be undefined
  if (value < std::numeric_limits<float>::lowest()) return value == -inf ? -inf : std::numeric_limits<float>::lowest();
  const auto nearest = static_cast<float>(value);
  return nearest < value ? std::nextafter(nearest, inf) : nearest;
}

}  // namespace mpp::speech

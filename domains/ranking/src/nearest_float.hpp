#pragma once
#include <cmath>
#include <limits>

namespace mpp::ranking {

/// The nearest float; infinity beyond its range, where a plain conversion would be undefined.
inline float nearest_float(double value) noexcept {
  if (std::fabs(value) <= static_cast<double>(std::numeric_limits<float>::max()) || std::isnan(value))
    return static_cast<float>(value);
  return std::copysign(std::numeric_limits<float>::infinity(), static_cast<float>(std::copysign(1.0, value)));
}

}  // namespace mpp::ranking

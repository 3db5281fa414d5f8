#pragma once
#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
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

/// a + b for a, b >= 0, not below the true sum.
inline float add_up(float a, double b) noexcept {
  if (b == 0.0) return a;
  return float_above((static_cast<double>(a) + b) * (1.0 + 0x1p-51));
}

/// A non-negative number mantissa * 2^exponent: probabilities of thousands of frames end below the smallest double.
struct Scaled {
  float mantissa = 0.0F;  ///< 0 or in [1, 2]
  std::int32_t exponent = 0;

  /// Smallest value of this type that is not below x * 2^shift. x >= 0, finite.
  static Scaled up(double x, std::int32_t shift = 0) noexcept {
    if (x == 0.0) return {};
    const int e = std::ilogb(x);
    return {float_above(std::scalbn(x, -e)), shift + e};
  }
  /// Value * 2^shift, up to what a double holds; what is too small becomes 2^-600 and not 0, so it stays an upper bound.
  double times_power(std::int64_t shift) const noexcept {
    if (mantissa == 0.0F) return 0.0;
    const std::int64_t e = exponent + shift;
    if (e > 900) return std::numeric_limits<double>::infinity();
    return std::scalbn(static_cast<double>(mantissa), static_cast<int>(e < -600 ? -600 : e));
  }
  friend bool operator<(const Scaled& a, const Scaled& b) noexcept {
    if (a.mantissa == 0.0F || b.mantissa == 0.0F) return a.mantissa < b.mantissa;
    const auto shift = static_cast<std::int64_t>(a.exponent) - b.exponent;
    if (shift > 2 || shift < -2) return shift < 0;
    return std::scalbn(static_cast<double>(a.mantissa), static_cast<int>(shift)) < static_cast<double>(b.mantissa);
  }
};
static_assert(sizeof(Scaled) == 8);

/// Upper bound of |ln(computed / true)| of a mass that the search has carried over `frames` frames: one rounding to float
/// per frame (2^-24) and at most eight of a double, the error of exp() included (see docs/speech.md).
inline double search_rounding(std::size_t frames) noexcept {
  return static_cast<double>(frames + 2) * (0x1p-24 + 0x1p-46);
}

/// The same for masses kept in double throughout.
inline double double_rounding(std::size_t frames) noexcept { return static_cast<double>(frames + 4) * 0x1p-49; }

/// ln(x * 2^exponent), for x >= 0 and |exponent| < 2^40, rounded outward by more than the error of log() and the sum.
inline double log_up(double x, std::int64_t exponent) noexcept {
  const double value = std::log(x) + static_cast<double>(exponent) * 0.693147180559945309417;
  return std::isfinite(value) ? value + (std::abs(value) + std::abs(std::log(x)) + 1.0) * 0x1p-50 : value;
}
inline double log_down(double x, std::int64_t exponent) noexcept {
  const double value = std::log(x) + static_cast<double>(exponent) * 0.693147180559945309417;
  return std::isfinite(value) ? value - (std::abs(value) + std::abs(std::log(x)) + 1.0) * 0x1p-50 : value;
}

/// ln(e^a + e^b), rounded up.
inline double log_add_up(double a, double b) noexcept {
  constexpr double infinity = std::numeric_limits<double>::infinity();
  const double most = std::max(a, b), least = std::min(a, b);
  if (most == infinity || least == -infinity) return most;
  return most + std::log1p(std::exp(least - most)) + (std::abs(most) + 1.0) * 0x1p-50;
}

}  // namespace mpp::speech

#include <cmath>

#include <mpp/kernels/half.hpp>

namespace mpp::kernels {
namespace {

constexpr double largest_half = 65504.0;
constexpr int half_precision = 11;        // bits, the leading one included
constexpr int half_least_exponent = -24;  // of the smallest subnormal

// `value` rounded to a multiple of the spacing of Half at its magnitude. Scaling by powers of two is exact.
template <class Round>
double on_half_grid(double value, Round round) {
  const int exponent = value == 0.0 ? half_least_exponent : std::ilogb(value) - (half_precision - 1);
  const int quantum = exponent < half_least_exponent ? half_least_exponent : exponent;
  return std::ldexp(round(std::ldexp(value, -quantum)), quantum);
}

// Bits of a value that is on the grid of Half or beyond its range.
Half encode(double value) {
  const std::uint16_t sign = std::signbit(value) ? 0x8000 : 0;
  const double magnitude = std::fabs(value);
  if (std::isnan(value)) return {0x7E00};
  if (magnitude > largest_half) return {static_cast<std::uint16_t>(sign | 0x7C00)};
  if (magnitude < 0x1p-14) return {static_cast<std::uint16_t>(sign | static_cast<int>(magnitude * 0x1p24))};
  const int exponent = std::ilogb(magnitude);
  const int mantissa = static_cast<int>(std::ldexp(magnitude, 10 - exponent)) - 1024;
  return {static_cast<std::uint16_t>(sign | ((exponent + 15) << 10) | mantissa)};
}

}  // namespace

Half nearest_half(double value) noexcept {
  if (!std::isfinite(value)) return encode(value);
  return encode(on_half_grid(value, [](double x) { return std::nearbyint(x); }));
}

Half half_above(double value) noexcept {
  if (std::isnan(value) || value > largest_half) return encode(value);
  if (value < -largest_half) return encode(-largest_half);
  return encode(on_half_grid(value, [](double x) { return std::ceil(x); }));
}

}  // namespace mpp::kernels

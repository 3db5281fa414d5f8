#pragma once
// Arithmetic of the CTC search that gives the same bits on every device: IEEE additions and multiplications in a written
// order (contraction is off for all our code), powers of two made from bits, no library function.
#include <bit>
#include <cstdint>

#include <mpp/kernels/ctc_step.hpp>

// These headers are compiled for the device by nvcc and for the host by everybody else; one translation unit never needs both.
#ifdef __CUDACC__
#define MPP_ON_DEVICE __device__
#else
#define MPP_ON_DEVICE
#endif

namespace mpp::kernels::ctc {

inline constexpr std::uint32_t none = no_ctc_node;
inline constexpr double least_probability = 0x1p-300;  // of what is possible: products with masses must not underflow
inline constexpr double least_mass = 0x1p-96;          // smaller ones would leave the normal floats
inline constexpr double row_unit = 0x1p-40;            // of sums over a row: up to 2^20 values of at most 4
inline constexpr double mass_unit = 0x1p-52;           // of sums over dropped masses: at most 2^9 in a frame

/// 2^e, -1022 <= e <= 1023.
MPP_ON_DEVICE inline double power_of_two(int e) {
  return std::bit_cast<double>(static_cast<std::uint64_t>(e + 1023) << 52);
}

/// floor(log2(x)) + 1023 of a normal x > 0.
MPP_ON_DEVICE inline std::uint32_t exponent_bits(double x) {
  return static_cast<std::uint32_t>(std::bit_cast<std::uint64_t>(x) >> 52);
}

/// exp(x) for x <= 1: 0 for -infinity, else at least least_probability; otherwise wrong by at most 2^-52 of itself.
///
/// x = k ln 2 + r with |r| < 0.3467. A float times 2^33 fits, k has 9 bits and ln2_high 33, so the first difference is exact;
/// the Taylor series ends after r^13 / 13!, and what it leaves out is below 2^-57.
MPP_ON_DEVICE inline double probability_of(float log_prob) {
  constexpr double ln2_high = 0x1.62e42feep-1, ln2_low = 0x1.a39ef35793c76p-33;
  if (log_prob < -208.0F) return log_prob < -3.402823466e38F ? 0.0 : least_probability;
  const double x = static_cast<double>(log_prob);
  const int k = static_cast<int>(x * 1.4426950408889634 + (x < 0.0 ? -0.5 : 0.5));
  const double r = (x - k * ln2_high) - k * ln2_low;
  double q = 1.0 / 6227020800.0;
  q = q * r + 1.0 / 479001600.0;
  q = q * r + 1.0 / 39916800.0;
  q = q * r + 1.0 / 3628800.0;
  q = q * r + 1.0 / 362880.0;
  q = q * r + 1.0 / 40320.0;
  q = q * r + 1.0 / 5040.0;
  q = q * r + 1.0 / 720.0;
  q = q * r + 1.0 / 120.0;
  q = q * r + 1.0 / 24.0;
  q = q * r + 1.0 / 6.0;
  q = q * r + 0.5;
  const double p = (1.0 + (r + r * r * q)) * power_of_two(k);
  return p < least_probability ? least_probability : p;
}

/// Smallest number of units, as an integer, that is not below x >= 0. Integers add up to the same in every order.
MPP_ON_DEVICE inline std::uint64_t units_above(double x, double unit) {
  const double scaled = x * (1.0 / unit);  // exact: unit is a power of two
  const auto whole = static_cast<std::uint64_t>(scaled);
  return static_cast<double>(whole) < scaled ? whole + 1 : whole;
}

/// Smallest float >= x, for x >= 0; infinity above the largest float.
MPP_ON_DEVICE inline float float_above(double x) {
  if (x > 0x1.fffffep127) return std::bit_cast<float>(0x7F800000U);
  const auto nearest = static_cast<float>(x);
  return static_cast<double>(nearest) < x ? std::bit_cast<float>(std::bit_cast<std::uint32_t>(nearest) + 1) : nearest;
}

/// a + b for a, b >= 0, not below the true sum.
MPP_ON_DEVICE inline float add_up(float a, double b) {
  return b == 0.0 ? a : float_above((static_cast<double>(a) + b) * (1.0 + 0x1p-51));
}

/// bound * 2^shift; infinite above 2^900, and not below 2^-600 unless it is 0, so that its product with a mass never is.
MPP_ON_DEVICE inline double times_power(CtcBound bound, std::int64_t shift) {
  if (bound.mantissa == 0.0F) return 0.0;
  const std::int64_t e = bound.exponent + shift;
  if (e > 900) return std::bit_cast<double>(std::uint64_t{0x7FF} << 52);
  return static_cast<double>(bound.mantissa) * power_of_two(static_cast<int>(e < -600 ? -600 : e));
}

}  // namespace mpp::kernels::ctc

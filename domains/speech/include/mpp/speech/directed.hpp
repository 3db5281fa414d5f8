#pragma once
#include <bit>
#include <cstdint>

namespace mpp::speech {

/// Smallest double that is not below the true a + b; a + b itself where it has no rounding error. Finite a and b, and
/// a sum that is finite too.
//
// The error of a sum is a double (Knuth's TwoSum; subnormal sums have none), so its sign says which way it was rounded.
// Unlike an inflated sum this keeps equal scores equal: ties are real ties wherever the sums are exact.
inline double sum_up(double a, double b) noexcept {
  const double sum = a + b;
  const double b_part = sum - a;
  const double error = (a - (sum - b_part)) + (b - b_part);
  if (!(error > 0.0)) return sum;
  return std::bit_cast<double>(std::bit_cast<std::int64_t>(sum) + (sum > 0.0 ? 1 : -1));
}
inline double sum_down(double a, double b) noexcept { return -sum_up(-a, -b); }

/// Not below the true value of any sum of two doubles that rounds to x; monotone; infinite values stay what they are.
inline double above(double x) noexcept {
  const double ulp = (x < 0.0 ? -x : x) * 0x1p-52;
  return x - x == 0.0 ? x + ulp : x;
}
/// The largest x for which callers may rely on above(x) <= limit.
inline double below(double limit) noexcept { return -above(above(-limit)); }

}  // namespace mpp::speech

#pragma once
#include <cmath>
#include <cstdint>

#include <mpp/kernels/half.hpp>

namespace mpp::reference {

/// 113 bits of precision: sums and products of floats and small integers are exact or as good as exact.
__extension__ typedef __float128 Quad;

/// Value of a Half from its bits, written independently of to_float().
inline double half_value(kernels::Half half) {
  const int exponent = half.bits >> 10 & 31;
  const int mantissa = half.bits & 1023;
  const double sign = (half.bits & 0x8000) != 0 ? -1.0 : 1.0;
  if (exponent == 31) return mantissa == 0 ? sign * HUGE_VAL : std::nan("");
  if (exponent == 0) return sign * std::ldexp(mantissa, -24);
  return sign * std::ldexp(1024 + mantissa, exponent - 25);
}

}  // namespace mpp::reference

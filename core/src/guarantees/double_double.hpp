#pragma once
#include <cfloat>
#include <cmath>
#include <cstdint>

#ifdef __FAST_MATH__
#error "limits need IEEE arithmetic: compile without -ffast-math"
#endif

namespace mpp::guarantees {

static_assert(FLT_EVAL_METHOD == 0, "limits need double arithmetic that rounds to double");

/// The unevaluated sum high + low, |low| at most half a unit in the last place of high: about 106 bits.
///
/// Every operation below has a relative error of at most 32 u^2 = 2^-101, u = 2^-53, as long as nothing overflows and
/// high stays above 2^-900. Source: Joldes, Muller, Popescu 2017; the proven bounds are at most half of that.
struct DoubleDouble {
  double high{};
  double low{};
};
inline constexpr double operation_error = 0x1p-101;

/// a + b exactly, |a| >= |b|.
inline DoubleDouble quick_sum(double a, double b) noexcept {
  const double sum = a + b;
  return {sum, b - (sum - a)};
}
/// a + b exactly. Knuth, TAOCP 2, 4.2.2, Theorem B.
inline DoubleDouble exact_sum(double a, double b) noexcept {
  const double sum = a + b;
  const double b_part = sum - a;
  return {sum, (a - (sum - b_part)) + (b - b_part)};
}
inline DoubleDouble exact_product(double a, double b) noexcept {
  const double product = a * b;
  return {product, std::fma(a, b, -product)};
}

inline DoubleDouble operator+(DoubleDouble a, DoubleDouble b) noexcept {
  const DoubleDouble high = exact_sum(a.high, b.high);
  const DoubleDouble low = exact_sum(a.low, b.low);
  const DoubleDouble sum = quick_sum(high.high, high.low + low.high);
  return quick_sum(sum.high, low.low + sum.low);
}
inline DoubleDouble operator*(DoubleDouble a, double b) noexcept {
  const DoubleDouble product = exact_product(a.high, b);
  return quick_sum(product.high, std::fma(a.low, b, product.low));
}
inline DoubleDouble operator*(DoubleDouble a, DoubleDouble b) noexcept {
  const DoubleDouble product = exact_product(a.high, b.high);
  return quick_sum(product.high, product.low + std::fma(a.low, b.high, a.high * b.low));
}
inline DoubleDouble operator/(DoubleDouble a, DoubleDouble b) noexcept {
  const double quotient = a.high / b.high;
  const DoubleDouble back = b * quotient;
  const double rest = (a.high - back.high) + (a.low - back.low);
  return quick_sum(quotient, rest / b.high);
}

/// A positive number mantissa * 2^exponent: probabilities of large samples end below the smallest double.
struct Scaled {
  DoubleDouble mantissa{1.0, 0.0};
  std::int64_t exponent = 0;

  Scaled& operator*=(DoubleDouble factor) noexcept {
    mantissa = mantissa * factor;
    // A mantissa stays within 2^+-300, so products of two are far from overflow and from subnormal parts.
    if (mantissa.high > 0x1p+300 || mantissa.high < 0x1p-300) {
      const int shift = std::ilogb(mantissa.high);
      mantissa = {std::scalbn(mantissa.high, -shift), std::scalbn(mantissa.low, -shift)};
      exponent += shift;
    }
    return *this;
  }
  Scaled& operator*=(const Scaled& factor) noexcept {
    exponent += factor.exponent;
    return *this *= factor.mantissa;
  }
  double log() const noexcept {
    return std::log(mantissa.high) + static_cast<double>(exponent) * 0.69314718055994530942;
  }
};

/// x^n with a relative error of at most n * operation_error: every way of multiplying n factors rounds n - 1 times.
inline Scaled power(DoubleDouble x, std::uint64_t n) noexcept {
  Scaled result;
  Scaled base;
  base *= x;
  for (; n > 0; n >>= 1) {
    if ((n & 1) != 0) result *= base;
    base *= Scaled{base};
  }
  return result;
}

}  // namespace mpp::guarantees

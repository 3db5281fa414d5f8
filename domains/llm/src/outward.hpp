#pragma once
#include <cmath>

#include "mpp/llm/attention_page.hpp"

#ifdef __FAST_MATH__
#error "bounds need IEEE arithmetic: compile without -ffast-math"
#endif

namespace mpp::llm {

/// Not below any real number that rounds to x: at least the next double. infinity stays.
//
// One ulp of a normal x is at most |x| 2^-52, and rounding is monotone; below the normal numbers the last term is one ulp.
inline double above(double x) noexcept { return (x + std::abs(x) * 0x1p-52) + 0x1p-1074; }
inline double below(double x) noexcept { return -above(-x); }
/// Not NaN either.
inline double at_least_zero(double x) noexcept { return x > 0.0 ? x : 0.0; }

/// Rounded up, for a, b >= 0. Zero times anything, infinity included, is zero: a mass of zero has no say.
inline double sum_up(double a, double b) noexcept { return a == 0.0 ? b : b == 0.0 ? a : above(a + b); }
inline double product_up(double a, double b) noexcept { return a == 0.0 || b == 0.0 ? 0.0 : above(a * b); }
/// a >= 0, b > 0 finite.
inline double quotient_up(double a, double b) noexcept { return a == 0.0 ? 0.0 : above(a / b); }
inline double root_up(double a) noexcept { return a == 0.0 ? 0.0 : above(std::sqrt(a)); }

/// The C library's exp and expm1 are taken to be within 4 units in the last place (glibc documents 1): the factor is 8.
inline constexpr double library_error = 0x1p-49;
inline double exp_up(double x) noexcept { return x == -infinity ? 0.0 : above(std::exp(x) * (1.0 + library_error)); }
inline double expm1_up(double x) noexcept { return x == 0.0 ? 0.0 : above(std::expm1(x) * (1.0 + library_error)); }

}  // namespace mpp::llm

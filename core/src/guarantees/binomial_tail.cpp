#include <algorithm>
#include <cmath>
#include <limits>

#include "src/guarantees/binomial_tail.hpp"

namespace mpp::guarantees {
namespace {

DoubleDouble whole(std::uint64_t n) { return {static_cast<double>(n), 0.0}; }  // exact: n < 2^53

void divide(Scaled& a, const Scaled& b) {
  a.exponent -= b.exponent;
  a.mantissa = a.mantissa / b.mantissa;
  a *= DoubleDouble{1.0, 0.0};  // back into range
}

Scaled binomial_coefficient(std::uint64_t n, std::uint64_t k) {
  k = std::min(k, n - k);
  Scaled above;
  Scaled below;
  for (std::uint64_t i = 1; i <= k; ++i) {
    above *= whole(n - k + i);
    below *= whole(i);
  }
  divide(above, below);
  return above;
}

// P(X <= k) / P(X = k), X ~ Bin(n, p), odds = q / p. From k downwards each term is i / (n - i + 1) * odds of the one
// before. These ratios fall, so what is left after a term is below the geometric series with the next ratio; the caller
// has k < (n + 1) p, hence ratios below 1. What is left out, below 2^-71 of the sum, is part of the stated error.
DoubleDouble sum_of_ratios(std::uint64_t k, std::uint64_t n, DoubleDouble odds) {
  DoubleDouble sum{1.0, 0.0};
  DoubleDouble term{1.0, 0.0};
  for (std::uint64_t i = k; i > 0; --i) {
    const DoubleDouble ratio = whole(i) / whole(n - i + 1) * odds;
    if (term.high * ratio.high < 0x1p-72 * sum.high * (1.0 - ratio.high)) break;
    term = term * ratio;
    sum = sum + term;
  }
  return sum;
}

DoubleDouble plain(const Scaled& x) {
  const int exponent = static_cast<int>(std::clamp<std::int64_t>(x.exponent, -5000, 5000));
  return {std::scalbn(x.mantissa.high, exponent), std::scalbn(x.mantissa.low, exponent)};
}

// The low part decides where it is still a normal number: in the mantissa.
double rounded_up(const Scaled& x) {
  if (std::ilogb(x.mantissa.high) + x.exponent < -1022) return std::numeric_limits<double>::min();
  const double high = plain(x).high;
  return x.mantissa.low > 0.0 ? std::nextafter(high, std::numeric_limits<double>::infinity()) : high;
}

}  // namespace

// One rounding per factor of the coefficient (2 min(k, n - k) <= n, and the division) and of the powers (n), at most
// five per term of the sum (5 n); the rest of the 8 n + 64 is slack. The terms that the sum leaves out come on top.
BinomialTail::BinomialTail(std::uint64_t k, std::uint64_t n)
    : k_(k), n_(n), ways_(binomial_coefficient(n, k)), next_ways_(ways_),
      error_(0x1p-70 + (8.0 * static_cast<double>(n) + 64.0) * operation_error) {
  next_ways_ *= whole(n - k) / whole(k + 1);
}

BinomialTail::Value BinomialTail::at(DoubleDouble p, DoubleDouble q) const {
  if (p.high < 0x1p-900) return {1.0, 0.0, 1.0};  // true and useless; keeps the arithmetic above subnormal numbers
  if (q.high <= 0.0) return {0.0, -std::numeric_limits<double>::infinity(), 1.0};
  if (q.high < 0x1p-900) q = {0x1p-900, 0.0};  // the tail grows with q
  const double n = static_cast<double>(n_);
  const double k = static_cast<double>(k_);
  if (k + 1.0 < (n + 1.0) * p.high) {
    const DoubleDouble ratios = sum_of_ratios(k_, n_, q / p);
    Scaled tail = ways_;
    tail *= power(p, k_);
    tail *= power(q, n_ - k_);
    tail *= ratios;
    const double log = tail.log();
    tail *= exact_sum(1.0, error_);
    return {std::min(1.0, rounded_up(tail)), log, (n - k) / ratios.high};
  }
  // The other tail is the short one: P(X > k) with successes and failures exchanged.
  Scaled other = next_ways_;
  other *= power(p, k_ + 1);
  other *= power(q, n_ - k_ - 1);
  const double next = plain(other).high;
  other *= sum_of_ratios(n_ - k_ - 1, n_, p / q);
  const DoubleDouble rest = plain(other) * exact_sum(-1.0, error_);
  const DoubleDouble tail = DoubleDouble{1.0, 0.0} + rest;
  const double upper = tail.low + 0x1p-98 > 0.0 ? std::nextafter(tail.high, 2.0) : tail.high;
  return {std::min(1.0, upper), std::log(tail.high),
          std::max((k + 1.0) * (q.high / p.high) * next / tail.high, 1e-300)};
}

}  // namespace mpp::guarantees

#pragma once
#include <cmath>
#include <cstdint>
#include <span>
#include <vector>

#include <boost/multiprecision/cpp_bin_float.hpp>
#include <boost/multiprecision/cpp_int.hpp>

/// Binomial tails in exact rational arithmetic: a double is a dyadic rational, so P(Bin(n, R) <= k) is one too.
namespace mpp::reference {

using Integer = boost::multiprecision::cpp_int;
using Wide = boost::multiprecision::number<boost::multiprecision::cpp_bin_float<60>, boost::multiprecision::et_off>;

/// numerator / 2^shift, exactly x. x >= 0, finite.
struct Dyadic {
  Integer numerator;
  unsigned shift;

  explicit Dyadic(double x) {
    int exponent = 0;
    const double fraction = std::frexp(x, &exponent);
    numerator = static_cast<std::int64_t>(std::ldexp(fraction, 53));
    shift = static_cast<unsigned>(std::max(0, 53 - exponent));
    if (exponent > 53) numerator <<= exponent - 53;
    while (shift > 0 && numerator != 0 && (numerator & 1) == 0) {
      numerator >>= 1;
      --shift;
    }
  }
};

/// Pascal's triangle, row by row on demand.
class Binomials {
 public:
  const std::vector<Integer>& row(std::uint64_t n) {
    while (rows_.size() <= n) {
      std::vector<Integer> next(rows_.size() + 1, 1);
      for (std::size_t k = 1; k < rows_.size(); ++k) next[k] = rows_.back()[k - 1] + rows_.back()[k];
      rows_.push_back(std::move(next));
    }
    return rows_[n];
  }

 private:
  std::vector<std::vector<Integer>> rows_;
};

/// P(Bin(n, p) <= k) as an exact fraction. `row` holds n over 0 ... n over n.
struct Fraction {
  Integer numerator;
  unsigned shift;  ///< the denominator is 2^shift

  bool at_most(double x) const {
    const Dyadic level(x);
    return (numerator << level.shift) <= (level.numerator << shift);
  }
};
inline Fraction at_most_k(std::uint64_t k, std::uint64_t n, double p, const std::vector<Integer>& row) {
  const Dyadic success(p);
  const Integer failure = (Integer{1} << success.shift) - success.numerator;
  // The shorter tail, as sum over j <= m of (n over j) a^j b^(n - j); the longer one is the whole minus that.
  const bool lower = 2 * k <= n;
  const std::uint64_t m = lower ? k : n - k - 1;
  const Integer& a = lower ? success.numerator : failure;
  const Integer& b = lower ? failure : success.numerator;
  Integer sum = 0;
  Integer power = 1;
  for (std::uint64_t j = 0; j <= m; ++j) {  // Horner in b
    sum = sum * b + row[j] * power;
    power *= a;
  }
  sum *= boost::multiprecision::pow(b, static_cast<unsigned>(n - m));
  const unsigned shift = success.shift * static_cast<unsigned>(n);
  if (!lower) sum = (Integer{1} << shift) - sum;
  return {sum, shift};
}
/// P(Bin(n, p) >= k), k >= 1.
inline Fraction at_least_k(std::uint64_t k, std::uint64_t n, double p, const std::vector<Integer>& row) {
  Fraction tail = at_most_k(k - 1, n, p, row);
  tail.numerator = (Integer{1} << tail.shift) - tail.numerator;
  return tail;
}

/// Sum of losses in units of 2^-1074: exact.
inline Integer exact_sum(std::span<const double> losses) {
  Integer sum = 0;
  for (const double loss : losses) {
    const Dyadic x(loss);
    sum += x.numerator << (1074 - x.shift);
  }
  return sum;
}

}  // namespace mpp::reference

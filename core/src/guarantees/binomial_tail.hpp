#pragma once
#include <cstdint>

#include "src/guarantees/double_double.hpp"

namespace mpp::guarantees {

/// P(Bin(n, p) <= k) as a function of p, for fixed k < n.
///
/// A sum of non-negative terms in double-double: the relative error of `upper` is below 2^-65 for n <= most_samples, so
/// an upper end that is also a double is nearly always the double next to the truth. docs/guarantees.md has the count.
class BinomialTail {
 public:
  struct Value {
    double upper;       ///< not below the tail, at least 2^-1022, or 0 where the tail is
    double log;         ///< natural logarithm of the tail, roughly
    double elasticity;  ///< d log(tail) / d log(q), roughly; > 0
  };

  /// Takes O(min(k, n - k)). k < n <= most_samples.
  BinomialTail(std::uint64_t k, std::uint64_t n);

  /// Takes O(sqrt(n)). p, q = 1 - p: one of them is a double, the other the exact difference.
  Value at(DoubleDouble p, DoubleDouble q) const;

 private:
  std::uint64_t k_;
  std::uint64_t n_;
  Scaled ways_;       // n over k
  Scaled next_ways_;  // n over k + 1
  double error_;      // relative error of any sum of terms
};

}  // namespace mpp::guarantees

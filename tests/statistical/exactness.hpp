#pragma once
#include <algorithm>
#include <array>
#include <bit>
#include <cstdint>

#include <mpp/core/guarantees/limits.hpp>

#include "statistical/exact_binomial.hpp"

namespace mpp::statistical {

inline constexpr std::array exact_levels{0.1, 0.05, 0.01, 1e-6};

inline double inward(double x, std::int64_t steps, bool upper) {
  return std::bit_cast<double>(std::bit_cast<std::int64_t>(x) + (upper ? -steps : steps));
}

/// What exact arithmetic says of the limits for all counts.
struct Found {
  std::uint64_t unsound = 0;       ///< limits whose tail is above beta, exactly
  std::uint64_t not_tightest = 0;  ///< limits with a sound double further inward
  std::int64_t widest_gap = 0;     ///< doubles from a limit inward to the first unsound one; 9 stands for more than 8
};

/// Decides exactly, for every count of up to `largest` trials, whether the limit is sound and where soundness ends.
template <class Limit>
Found examine(std::uint64_t largest, bool upper, const Limit& limit) {
  reference::Binomials binomials;
  Found found;
  for (std::uint64_t n = 1; n <= largest; ++n) {
    const auto& row = binomials.row(n);
    for (std::uint64_t k = upper ? 0 : 1; k < (upper ? n : n + 1); ++k)
      for (const double beta : exact_levels) {
        const double x = limit(guarantees::Count{k, n}, Delta{beta});
        const auto sound = [&](double y) {
          if (y <= 0.0) return !upper;
          if (y >= 1.0) return upper;
          return (upper ? reference::at_most_k(k, n, y, row) : reference::at_least_k(k, n, y, row)).at_most(beta);
        };
        found.unsound += !sound(x);
        std::int64_t gap = 1;
        while (gap <= 8 && sound(inward(x, gap, upper))) ++gap;
        found.not_tightest += gap > 1;
        found.widest_gap = std::max(found.widest_gap, gap);
      }
  }
  return found;
}

}  // namespace mpp::statistical

#pragma once
#include <cmath>
#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include <boost/math/special_functions/beta.hpp>
#include <boost/math/special_functions/gamma.hpp>

#include <mpp/core/control/bound.hpp>

#include "statistical/distributions.hpp"

/// Does a procedure that promises "wrong with probability at most delta" keep its promise where that is hardest: with the
/// true mean exactly at the boundary? Reusable for any procedure; nothing here knows how a limit is computed.
namespace mpp::statistical {

/// Effort of a check: 1 fits the test suite, a benchmark or a nightly run takes more and a seed of its own.
struct Scale {
  double replicates = 1.0;
  std::uint64_t seed = 1;
};

/// A procedure seen from outside: whether it makes a statement about the mean that is false if the mean is `mean`, that is,
/// an upper limit below it, a lower limit above it, or a p-value <= delta for "the mean is at least this".
struct Claim {
  std::string name;
  bool binary_only = false;    ///< defined for losses 0 and 1 only
  bool order_matters = false;  ///< if not, the chance of error on binary losses is summed exactly instead of simulated
  bool lower = false;          ///< speaks of the mean from below
  std::function<bool(std::span<const double> losses, double mean, Delta delta)> wrong;
};

/// One combination that was tried.
struct Cell {
  std::string claim;
  std::string distribution;
  std::size_t n = 0;
  double delta = 0.0;
  bool exact = false;            ///< rate is the probability itself
  std::uint64_t replicates = 0;  ///< 0 if exact
  double rate = 0.0;             ///< of wrong claims
  double p_value = 1.0;          ///< of "the rate is at most delta"; 0 or 1 if exact

  bool rejected(double family_wise, std::size_t cells) const {
    return p_value < family_wise / static_cast<double>(cells);
  }
};
inline constexpr double family_wise = 1e-6;
inline constexpr std::size_t family_size = 4096;  ///< at least the number of cells of all claims together: Bonferroni

/// P(Bin(n, p) >= k), by Boost.Math: independent of the library.
inline double binomial_at_least(std::uint64_t k, std::uint64_t n, double p) {
  return k == 0 ? 1.0 : boost::math::ibeta(static_cast<double>(k), static_cast<double>(n - k) + 1.0, p);
}
inline double binomial_mass(std::uint64_t k, std::uint64_t n, double p) {
  const auto kd = static_cast<double>(k);
  const auto nd = static_cast<double>(n);
  return k == 0   ? std::exp(nd * std::log1p(-p))
         : k == n ? std::pow(p, nd)
                  : boost::math::ibeta_derivative(kd, nd - kd + 1.0, p) * (1.0 - p) / (nd - kd + 1.0) *
                        ((nd - kd + 1.0) / kd) * (p / (1.0 - p)) * ((1.0 - p) / p);
}

}  // namespace mpp::statistical

#pragma once
#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include <boost/math/special_functions/beta.hpp>

#include <mpp/core/control/bound.hpp>
#include <mpp/core/error.hpp>

#include "statistical/distributions.hpp"

/// Does a procedure that promises "wrong with probability at most delta" keep its promise where that is hardest: with
/// the true mean exactly at the boundary? Reusable for any procedure; nothing here knows how a limit is computed.
namespace mpp::statistical {

/// Effort of a check: 1 fits the test suite, a benchmark or a nightly run takes more and a seed of its own.
struct Scale {
  double replicates = 1.0;
  std::uint64_t seed = 1;
};

/// A procedure seen from outside: whether it makes a statement about the mean that is false if the mean is `mean`, that
/// is, an upper limit below it, a lower limit above it, or a p-value <= delta for "the mean is at least this".
struct Claim {
  std::string name;
  bool binary_only = false;    ///< defined for losses 0 and 1 only
  bool order_matters = false;  ///< if not, its chance of error on binary losses is summed exactly instead of simulated
  bool lower = false;          ///< speaks of the mean from below: tried on 1 - losses
  std::function<bool(std::span<const double> losses, double mean, Delta delta)> wrong;
};

template <class Limit>
Claim upper_claim(std::string name, Limit limit, bool order_matters = false) {
  return {std::move(name), false, order_matters, false,
          [limit](std::span<const double> losses, double mean, Delta delta) { return limit(losses, delta) < mean; }};
}
template <class Limit>
Claim lower_claim(std::string name, Limit limit, bool order_matters = false) {
  return {std::move(name), false, order_matters, true,
          [limit](std::span<const double> losses, double mean, Delta delta) { return limit(losses, delta) > mean; }};
}

/// One combination that was tried.
struct Cell {
  std::string claim;
  std::string distribution;
  std::size_t n = 0;
  double mean = 0.0;
  double delta = 0.0;
  std::uint64_t replicates = 0;  ///< 0: `rate` is the probability itself
  double rate = 0.0;             ///< of wrong claims
  double p_value = 1.0;          ///< of "the rate is at most delta"; 0 or 1 where the rate is exact
  bool rejected = false;         ///< with all cells of all claims together wrong with probability at most family_wise
};
inline constexpr double family_wise = 1e-6;
inline constexpr double family_size = 1e4;  ///< more than the cells of all claims together (Bonferroni)

/// P(Bin(n, p) = k) and P(Bin(n, p) >= k), by Boost.Math: independent of the library.
inline double binomial_mass(std::uint64_t k, std::uint64_t n, double p) {
  const auto nd = static_cast<double>(n);
  return boost::math::ibeta_derivative(static_cast<double>(k) + 1.0, static_cast<double>(n - k) + 1.0, p) / (nd + 1.0);
}
inline double binomial_at_least(std::uint64_t k, std::uint64_t n, double p) {
  return k == 0 ? 1.0 : boost::math::ibeta(static_cast<double>(k), static_cast<double>(n - k) + 1.0, p);
}

class ValidityCheck {
 public:
  static constexpr std::array sizes{std::size_t{1},   std::size_t{9},    std::size_t{50},
                                    std::size_t{299}, std::size_t{1000}, std::size_t{5000}};
  static constexpr std::array deltas{0.1, 0.05, 0.01};

  ValidityCheck(Claim claim, const Scale& scale) : claim_(std::move(claim)), scale_(scale) {}

  /// All cells; with `until_rejected`, those up to the first that is rejected.
  std::vector<Cell> run(bool until_rejected = false) {
    until_rejected_ = until_rejected;
    for (const std::size_t n : sizes) {
      if (done()) break;
      for (const double risk : {0.01, 0.05, 0.5})
        for (const double delta : deltas) binary(bernoulli(risk), n, delta);
      // Just above the limit after k violations: there P(at most k) is what the procedure may spend, to the last digit.
      for (const std::uint64_t k : {0U, 1U, 3U, 10U})
        for (const double delta : deltas)
          if (k < n && (!claim_.order_matters || (k == 0 && n < 2000)))
            binary(bernoulli(just_above(k, n, delta)), n, delta);
      if (!claim_.binary_only)
        for (const Distribution& graded : graded_distributions()) simulate(graded, n, deltas);
    }
    return std::move(cells_);
  }

 private:
  bool done() const { return until_rejected_ && !cells_.empty() && cells_.back().rejected; }

  bool wrong(std::vector<double> losses, double mean, double delta) const {
    if (!claim_.lower) return claim_.wrong(losses, mean, Delta{delta});
    for (double& loss : losses) loss = 1.0 - loss;
    return claim_.wrong(losses, 1.0 - mean, Delta{delta});
  }
  bool wrong_after(std::uint64_t k, std::size_t n, double mean, double delta) const {
    std::vector<double> losses(n, 0.0);
    std::fill_n(losses.begin(), k, 1.0);
    return wrong(losses, mean, delta);
  }

  // The least mean at which k violations lead to a wrong claim; 1/2 if there is none to be found.
  double just_above(std::uint64_t k, std::size_t n, double delta) const {
    double right = 0.0;
    double false_at = 1.0 - 0x1p-53;
    if (!wrong_after(k, n, false_at, delta)) return 0.5;
    for (int step = 0; step < 60 && false_at - right > 0x1p-53; ++step) {
      const double middle = 0.5 * (right + false_at);
      (wrong_after(k, n, middle, delta) ? false_at : right) = middle;
    }
    return false_at;
  }

  void add(Cell cell) {
    cell.claim = claim_.name;
    cell.rejected = cell.p_value < family_wise / family_size;
    cells_.push_back(std::move(cell));
  }

  void binary(const Distribution& from, std::size_t n, double delta) {
    if (done()) return;
    if (claim_.order_matters) return simulate(from, n, std::array{delta});
    // From the centre outwards, until what is left cannot matter.
    double rate = 0.0;
    const auto centre = static_cast<std::uint64_t>(from.mean * static_cast<double>(n));
    const auto visit = [&](std::uint64_t k) {
      const double mass = binomial_mass(k, n, from.mean);
      if (mass > 1e-14 && wrong_after(k, n, from.mean, delta)) rate += mass;
      return mass > 1e-14;
    };
    for (std::uint64_t k = centre; k <= n && visit(k); ++k) {
    }
    for (std::uint64_t k = centre; k > 0 && visit(k - 1); --k) {
    }
    // Boost's masses are good to about 1e-13 and the mean of a mirrored claim to 2^-53.
    add({{}, from.name, n, from.mean, delta, 0, rate, rate > delta * (1.0 + 1e-9) ? 0.0 : 1.0, false});
  }

  template <std::size_t count>
  void simulate(const Distribution& from, std::size_t n, const std::array<double, count>& levels) {
    if (done()) return;
    const double losses_drawn = 5e5 * scale_.replicates;
    const auto replicates = static_cast<std::uint64_t>(
        std::clamp(losses_drawn / static_cast<double>(n), 100.0 * scale_.replicates, 10000.0 * scale_.replicates));
    Uniform uniform(scale_.seed * 0x9e3779b97f4a7c15U + cells_.size());
    std::array<std::uint64_t, count> misses{};
    for (std::uint64_t i = 0; i < replicates; ++i) {
      const auto losses = draw(from, n, uniform);
      for (std::size_t level = 0; level < count; ++level) misses[level] += wrong(losses, from.mean, levels[level]);
    }
    for (std::size_t level = 0; level < count; ++level) {
      if (done()) return;
      add({{},
           from.name,
           n,
           from.mean,
           levels[level],
           replicates,
           static_cast<double>(misses[level]) / static_cast<double>(replicates),
           binomial_at_least(misses[level], replicates, levels[level]),
           false});
    }
  }

  Claim claim_;
  Scale scale_;
  bool until_rejected_ = false;
  std::vector<Cell> cells_;
};

inline std::string describe(const Cell& cell) {
  return text(cell.claim, " on ", cell.distribution, " with mean ", cell.mean, ", n = ", cell.n,
              ", delta = ", cell.delta, cell.replicates > 0 ? ": wrong in " : ": wrong with probability ", cell.rate,
              " of ", cell.replicates, " replicates, p-value ", cell.p_value);
}

}  // namespace mpp::statistical

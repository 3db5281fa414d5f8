#pragma once
#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <limits>
#include <span>
#include <vector>

#include <mpp/core/guarantees/alternatives.hpp>

// What the detectors of an audit are in plain arithmetic of 64 bits or more. They round down by several units of 2^-53
// at every step, so an error of 2^-64 here decides no comparison.
namespace mpp::test {

static_assert(std::numeric_limits<long double>::digits >= 64);

inline long double log_factor(double m, double allowed, double loss) {
  return std::log1p((static_cast<long double>(m) - 1.0L) * loss) -
         std::log1p((static_cast<long double>(m) - 1.0L) * allowed);
}

/// log of the mean over alternatives of the product of factors.
inline long double log_e_value(double allowed, std::span<const double> losses) {
  std::array<long double, guarantees::alternative_count> logs{};
  for (std::size_t k = 0; k < logs.size(); ++k)
    for (const double loss : losses) logs[k] += log_factor(guarantees::odds_ratios[k], allowed, loss);
  const long double best = *std::max_element(logs.begin(), logs.end());
  long double sum = 0.0L;
  for (const long double value : logs) sum += std::exp(value - best);
  return best + std::log(sum / static_cast<long double>(logs.size()));
}

/// Mean over alternatives of the recursion R <- (1 + R) factor.
inline long double shiryaev_roberts(double allowed, std::span<const double> losses) {
  long double sum = 0.0L;
  for (const double m : guarantees::odds_ratios) {
    long double r = 0.0L;
    for (const double loss : losses) r = (1.0L + r) * (1.0L + (m - 1.0L) * loss) / (1.0L + (m - 1.0L) * allowed);
    sum += r;
  }
  return sum / static_cast<long double>(guarantees::alternative_count);
}

/// All sequences of 0/1 losses of a length. each(losses, violations)
template <class Each>
void each_sequence(int length, Each each) {
  std::vector<double> losses(static_cast<std::size_t>(length));
  for (std::uint32_t bits = 0; bits < (std::uint32_t{1} << length); ++bits) {
    int violations = 0;
    for (int i = 0; i < length; ++i) {
      losses[static_cast<std::size_t>(i)] = (bits >> i) & 1U;
      violations += static_cast<int>((bits >> i) & 1U);
    }
    each(losses, violations);
  }
}

/// Probability of one sequence at a rate.
inline long double probability(long double rate, int length, int violations) {
  return std::pow(rate, static_cast<long double>(violations)) *
         std::pow(1.0L - rate, static_cast<long double>(length - violations));
}

/// Rates from 0 to the allowed one, both ends included.
inline std::vector<double> compliant_rates(double allowed) { return {0.0, 0.3 * allowed, 0.9 * allowed, allowed}; }

inline const std::vector<double> allowed_rates{1e-12, 1e-3, 0.01, 0.1, 0.3, 0.5, 0.9, 1.0 - 0x1p-53};

}  // namespace mpp::test

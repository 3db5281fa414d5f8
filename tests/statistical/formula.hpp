#pragma once
#include <algorithm>
#include <cmath>
#include <span>
#include <vector>

#include <boost/multiprecision/cpp_bin_float.hpp>

#include "statistical/exact_binomial.hpp"

/// The limits' defining formulas in 60 digits, from exactly summed losses: what a rounded limit may not fall short of.
namespace mpp::reference {

inline Wide exact_mean(std::span<const double> losses) {
  return ldexp(Wide(exact_sum(losses)), -1074) / static_cast<double>(losses.size());
}

/// P(Bin(n, p) <= k), as a sum of terms.
inline Wide binomial_tail(std::uint64_t k, std::uint64_t n, const Wide& p) {
  if (k >= n) return 1;
  if (p <= 0) return 1;
  if (p >= 1) return 0;
  Wide term = pow(1 - p, static_cast<int>(n));
  Wide sum = term;
  for (std::uint64_t j = 1; j <= k; ++j) {
    term *= Wide(n - j + 1) / Wide(j) * p / (1 - p);
    sum += term;
  }
  return sum;
}

inline Wide divergence(const Wide& mean, const Wide& x) {
  const Wide left = mean > 0 ? mean * log(mean / x) : Wide(0);
  return mean < 1 ? left + (1 - mean) * log((1 - mean) / (1 - x)) : left;
}

/// The Hoeffding-Bentkus p-value of "the mean is at least x".
inline Wide hoeffding_bentkus(std::span<const double> losses, const Wide& x) {
  const auto n = static_cast<double>(losses.size());
  const Wide mean = exact_mean(losses);
  if (mean >= x || x >= 1) return mean >= x ? 1 : 0;
  const Integer unit = Integer{1} << 1074;
  const auto k = static_cast<std::uint64_t>((exact_sum(losses) + unit - 1) / unit);
  return std::min<Wide>(exp(-n * divergence(mean, x)), exp(Wide(1)) * binomial_tail(k, losses.size(), x));
}

/// The radius of Maurer and Pontil's interval.
inline Wide bernstein_radius(std::span<const double> losses, const Wide& beta) {
  const auto n = static_cast<double>(losses.size());
  const Wide mean = exact_mean(losses);
  Wide squares = 0;
  for (const double loss : losses) squares += (loss - mean) * (loss - mean);
  const Wide log_term = log(2 / beta);
  return sqrt(2 * squares / (n - 1) * log_term / n) + 7 * log_term / (3 * (n - 1));
}

/// The largest wealth of the gambler against "the mean is x", whose bets, like the library's, are doubles: any bet that
/// is made before the loss is seen is a valid one, so its rounding is not an error.
inline Wide betting_wealth(std::span<const double> losses, double beta, const Wide& x, bool upper) {
  const double aim = 2.0 * std::log(1.0 / beta) / static_cast<double>(losses.size());
  double sum = 0.5;
  double squares = 0.25;
  Wide wealth = 1;
  Wide best = 1;
  for (std::size_t i = 0; i < losses.size(); ++i) {
    const double count = static_cast<double>(i) + 1.0;
    const double share = std::min(1.0, std::sqrt(aim * count / squares));
    wealth *= 1 + share * (upper ? x - losses[i] : losses[i] - x);
    best = std::max(best, wealth);
    sum += losses[i];
    const double distance = losses[i] - sum / (count + 1.0);
    squares += distance * distance;
  }
  return best;
}

}  // namespace mpp::reference

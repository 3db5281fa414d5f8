#pragma once
#include <algorithm>
#include <cmath>
#include <random>
#include <span>
#include <vector>

#include <boost/math/special_functions/erf.hpp>

#include <mpp/core/error.hpp>
#include <mpp/core/guarantees/limits.hpp>

/// Limits that are wrong on purpose, each as it was found in public code or as it is easily written.
namespace mpp::statistical::mutant {

using guarantees::Count;
using Losses = std::span<const double>;

inline double mean(Losses losses) {
  double sum = 0.0;
  for (const double loss : losses) sum += loss;
  return sum / static_cast<double>(losses.size());
}
inline double squares_about_mean(Losses losses) {
  double sum = 0.0;
  for (const double loss : losses) sum += (loss - mean(losses)) * (loss - mean(losses));
  return sum;
}

// The variance of the mean risk across thresholds stands for the variance of the losses.
inline double bernstein_across_lambdas(Losses losses, Delta beta) {
  std::vector<double> risks;
  for (int lambda = 0; lambda < 20; ++lambda) risks.push_back(mean(losses) * (1.0 + 0.001 * lambda));
  const double n = static_cast<double>(losses.size());
  const double variance = squares_about_mean(risks) / static_cast<double>(risks.size());
  const double log = std::log(2.0 / beta.value);
  return mean(losses) + std::sqrt(2.0 * variance * log / n) + 7.0 * log / (3.0 * (n - 1.0));
}

// A plug-in deviation: 0 for a constant sample, so one sample certifies.
inline double plug_in_deviation(Losses losses, Delta beta) {
  const double n = static_cast<double>(losses.size());
  return mean(losses) + std::sqrt(squares_about_mean(losses) / n / n) * std::sqrt(2.0 * std::log(1.0 / beta.value));
}
inline double central_limit(Losses losses, Delta beta) {
  const double n = static_cast<double>(losses.size());
  const double z = std::sqrt(2.0) * boost::math::erfc_inv(2.0 * beta.value);
  return mean(losses) + z * std::sqrt(squares_about_mean(losses) / n / n);
}

struct Bernstein {
  double inner = 2.0;        // in ln(inner / beta)
  double outer = 7.0 / 3.0;  // of the linear term
  double less = 1.0;         // degrees of freedom taken off n
};
inline double bernstein(Losses losses, Delta beta, Bernstein mistake) {
  if (losses.size() == 1) return 1.0;
  const double n = static_cast<double>(losses.size());
  const double log = std::log(mistake.inner / beta.value);
  const double radius = std::sqrt(2.0 * squares_about_mean(losses) / (n - mistake.less) * log / n);
  return std::min(1.0, mean(losses) + radius + mistake.outer * log / (n - mistake.less));
}

struct Betting {
  bool peeks = false;     // the bet knows the loss it is made on
  bool no_prior = false;  // variance starts at 0 and the bet has no cap
  bool halves = false;    // maxima of the two halves are added, the middle sample is dropped
};
// Whether the gambler's wealth against `x` reaches 1 / beta.
inline bool betting_refutes(Losses losses, double x, Delta beta, Betting mistake) {
  const std::size_t n = losses.size();
  const double aim = 2.0 * std::log(1.0 / beta.value) / static_cast<double>(n);
  double sum = 0.5;
  double squares = mistake.no_prior ? 0.0 : 0.25;
  std::vector<double> gains;
  for (std::size_t i = 0; i < n; ++i) {
    const double count = static_cast<double>(i) + 1.0;
    const double before = squares;
    sum += losses[i];
    squares += (losses[i] - sum / (count + 1.0)) * (losses[i] - sum / (count + 1.0));
    double share = std::sqrt(aim * count / (mistake.peeks ? squares : before));
    if (!mistake.no_prior) share = std::min(1.0, share);
    gains.push_back(std::log(std::max(0.0, 1.0 - share * (losses[i] - x))));
  }
  const auto best = [&](std::size_t from, std::size_t to) {
    double wealth = 0.0;
    double most = 0.0;
    for (std::size_t i = from; i < to; ++i) most = std::max(most, wealth += gains[i]);
    return most;
  };
  const double total = mistake.halves ? best(0, n / 2) + best(n - n / 2, n) : best(0, n);
  return total >= -std::log(beta.value);
}
// As many orders of the same losses as it takes to find a lucky one.
inline bool best_of_orders(Losses losses, double x, Delta beta) {
  std::vector<double> order(losses.begin(), losses.end());
  std::mt19937_64 random(5);
  for (int i = 0; i < 30; ++i) {
    if (betting_refutes(order, x, beta, {})) return true;
    std::shuffle(order.begin(), order.end(), random);
  }
  return false;
}

// Bentkus with floor for ceil.
inline double bentkus_floor(Losses losses, Delta beta) {
  double sum = 0.0;
  for (const double loss : losses) sum += loss;
  const auto k = static_cast<std::uint64_t>(sum);
  return std::min(guarantees::hoeffding_bentkus_upper(losses, beta),
                  guarantees::clopper_pearson_upper({k, losses.size()}, Delta{beta.value / 2.7182818284590455}));
}
// Losses that a thread in flush-to-zero mode takes for 0.
inline double flushed_losses(Losses losses, Delta beta) {
  std::vector<double> flushed(losses.begin(), losses.end());
  for (double& loss : flushed)
    if (loss < 0x1p-1022) loss = 0.0;
  return guarantees::hoeffding_bentkus_upper(flushed, beta);
}
// Under fast-math the compiler may drop the comparison that catches NaN.
inline double nan_passes(Losses losses, Delta beta) {
  if (losses.empty() || !(beta.value > 0.0 && beta.value < 1.0)) throw ValueError("no losses or no level");
  for (const double loss : losses)
    if (loss < 0.0 || loss > 1.0) throw ValueError("losses outside [0, 1]");
  return bernstein(losses, beta, {});
}

// P(Bin(n, p) <= k) in plain double from the first term on. Its rounding is not accounted for; or it is, amply, and what
// is wrong is that terms are flushed to 0.
inline double plain_tail(Count count, double p, bool flushes) {
  const double n = static_cast<double>(count.n);
  double term = std::pow(1.0 - p, n);
  if (flushes && term < 0x1p-1022) term = 0.0;
  double sum = term;
  for (double j = 1.0; j <= static_cast<double>(count.violations); ++j) {
    term *= (n - j + 1.0) / j * (p / (1.0 - p));
    sum += term;
  }
  return flushes ? sum * (1.0 + 1e-9) : sum;
}
// Bisection of a plain tail. `steps` of it; returns the outer end or the midpoint of what is left.
inline double plain_limit(Count count, Delta beta, int steps, bool midpoint, bool flushes = false) {
  if (count.violations == count.n) return 1.0;
  double bad = 0.0;
  double good = 1.0;
  for (int i = 0; i < steps; ++i) {
    const double middle = 0.5 * (bad + good);
    (plain_tail(count, middle, flushes) <= beta.value ? good : bad) = middle;
  }
  return midpoint ? 0.5 * (bad + good) : good;
}

}  // namespace mpp::statistical::mutant

#include <algorithm>
#include <cmath>
#include <limits>

#include <mpp/core/guarantees/limits.hpp>

#include "src/guarantees/bisect.hpp"
#include "src/guarantees/check.hpp"
#include "src/guarantees/loss_sum.hpp"

namespace mpp::guarantees {
namespace {

constexpr double e_up = 2.7182818284590455;  // the double above e

// KL(mean || x), never above the truth, for the mean and x = mean + gap, each with its distance to 1. With the two
// sides exchanged it is the divergence below the mean. KL = far - near, near <= gap <= far; each input has a relative
// error of at most u and each logarithm of at most 4 u (glibc states 1), which makes less than 16 u = 2^-49 in either
// term.
double divergence(double mean, double mean_rest, double gap, double x_rest) {
  if (!(gap > 0.0)) return 0.0;
  const double near = mean > 0.0 ? mean * std::log1p(gap / mean) : 0.0;
  const double far =
      gap < 0.5 * mean_rest ? -mean_rest * std::log1p(-gap / mean_rest) : mean_rest * std::log(mean_rest / x_rest);
  return std::max(0.0, (far * (1.0 - 0x1p-49) - near * (1.0 + 0x1p-49)) * (1.0 - 0x1p-51));
}
double divergence_above(double mean, double x) { return divergence(mean, 1.0 - mean, x - mean, 1.0 - x); }
double divergence_below(double mean, double x) { return divergence(1.0 - mean, mean, mean - x, x); }

double log_inverse_up(double beta) { return -std::log(beta) * (1.0 + 0x1p-50); }

// The limit at the level that Bentkus' factor e leaves, rounded down. Below the normal numbers it may have been flushed
// to 0, which is no level: then there is no limit but the trivial one.
double bentkus(double (*limit)(Count, Delta), Count count, Delta beta, double trivial) {
  const double level = beta.value / e_up * (1.0 - 0x1p-52);
  return level < std::numeric_limits<double>::min() ? trivial : limit(count, Delta{level});
}

}  // namespace

double hoeffding_bentkus_upper(std::span<const double> losses, Delta beta) {
  check_losses("hoeffding_bentkus_upper", losses);
  check_beta("hoeffding_bentkus_upper", beta);
  const LossSum sum(losses, LossSum::Round::up);
  const double mean = sum.mean_up();
  const double n = static_cast<double>(sum.n);
  const double wanted = log_inverse_up(beta.value) * (1.0 + 0x1p-51);
  const double chernoff =
      mean < 1.0 ? outer_end(1.0, mean, [&](double x) { return n * divergence_above(mean, x) >= wanted; }) : 1.0;
  return std::min(chernoff, bentkus(clopper_pearson_upper, {sum.ceiling(), sum.n}, beta, 1.0));
}

double hoeffding_bentkus_lower(std::span<const double> losses, Delta beta) {
  check_losses("hoeffding_bentkus_lower", losses);
  check_beta("hoeffding_bentkus_lower", beta);
  const LossSum sum(losses, LossSum::Round::down);
  const double mean = sum.mean_down();
  const double n = static_cast<double>(sum.n);
  const double wanted = log_inverse_up(beta.value) * (1.0 + 0x1p-51);
  const double chernoff =
      mean > 0.0 ? outer_end(0.0, mean, [&](double x) { return n * divergence_below(mean, x) >= wanted; }) : 0.0;
  return std::max(chernoff, bentkus(clopper_pearson_lower, {sum.whole, sum.n}, beta, 0.0));
}

double hoeffding_bentkus_p(std::span<const double> losses, double risk) {
  check_losses("hoeffding_bentkus_p", losses);
  check_risk("hoeffding_bentkus_p", risk);
  check_rounding("hoeffding_bentkus_p");
  const LossSum sum(losses, LossSum::Round::up);
  const double exponent = static_cast<double>(sum.n) * divergence_above(sum.mean_up(), risk) * (1.0 - 0x1p-51);
  const double chernoff = std::exp(-exponent) * (1.0 + 0x1p-49);
  const double bentkus = e_up * binomial_p({sum.ceiling(), sum.n}, risk) * (1.0 + 0x1p-52);
  return std::clamp(std::min(chernoff, bentkus), 0x1p-988, 1.0);
}

}  // namespace mpp::guarantees

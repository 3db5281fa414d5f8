#include <mpp/core/guarantees/e_process.hpp>

#include <algorithm>
#include <cmath>

#include <mpp/core/error.hpp>

#include "src/guarantees/audit_rounding.hpp"

namespace mpp::guarantees {
namespace {

// log1p((m - 1) x). The product is off by 1 rounding, which moves the logarithm by less than as large a part of it
// (z / (1 + z) <= log1p(z)), and log1p by 4 units in the last place, 8 roundings: 9 in all, and below() takes 16.
double log_growth(double m, double x) { return std::log1p((m - 1.0) * x); }
constexpr double growth_units = 8.0;

}  // namespace

EProcess::EProcess(Delta allowed) {
  check_allowed("EProcess", allowed);
  for (std::size_t k = 0; k < alternative_count; ++k) {
    log_start_[k] = above(log_growth(odds_ratios[k], allowed.value), growth_units);
    log_compliant_[k] = -log_start_[k];
    log_violation_[k] = below(below(log_growth(odds_ratios[k], 1.0), growth_units) - log_start_[k]);
  }
}

EProcess::EProcess(Delta allowed, const PerAlternative& log_wealth) : EProcess(allowed) {
  for (const double value : log_wealth)
    expects<ValueError>(std::isfinite(value), "EProcess: a logarithm of the wealth is ", value, ", expected finite");
  log_wealth_ = log_wealth;
}

void EProcess::observe(double loss) {
  check_loss("EProcess", loss);
  for (std::size_t k = 0; k < alternative_count; ++k) {
    const double step = loss == 0.0   ? log_compliant_[k]
                        : loss == 1.0 ? log_violation_[k]
                                      : below(below(log_growth(odds_ratios[k], loss), growth_units) - log_start_[k]);
    log_wealth_[k] = below(log_wealth_[k] + step);
  }
}

double EProcess::log_value() const {
  check_rounding("EProcess");
  const double best = *std::max_element(log_wealth_.begin(), log_wealth_.end());
  double sum = 0.0;
  for (const double wealth : log_wealth_) {
    const double lag = wealth - best;
    if (lag > -32.0) sum += std::exp(lag);  // what is left out is missing from the sum: never too much
  }
  // A lag of at most 32 is off by 32 roundings of exp, which adds 8 of its own, the sum 7: 47, and below() takes 64.
  // The sum is at least 1, so its logarithm minus log 8 is that of a number in [1/8, 1].
  const double log_mean = std::log(below(sum, 32.0) * alternative_weight);
  return below(best + below(log_mean, 8.0));
}

bool EProcess::alarm(Delta alpha) const {
  expects<ValueError>(alpha.value > 0.0 && alpha.value < 1.0, "EProcess: alpha is ", alpha.value,
                      ", expected in (0, 1)");
  const double needed = above(-std::log(alpha.value), 8.0);
  // The mean is at most the best: most of the time nothing has to be summed.
  return *std::max_element(log_wealth_.begin(), log_wealth_.end()) >= needed && log_value() >= needed;
}

}  // namespace mpp::guarantees

#include <algorithm>
#include <numeric>

#include <mpp/core/guarantees/calibrate.hpp>
#include <mpp/core/guarantees/sample_size.hpp>

#include "src/guarantees/check.hpp"

namespace mpp::guarantees {
namespace {

void check_thresholds(std::span<const double> thresholds) {
  expects<ValueError>(!thresholds.empty(), "calibrate_policy: thresholds is empty, expected at least one");
  double above = std::numeric_limits<double>::infinity();
  for (std::size_t i = 0; i < thresholds.size(); ++i) {
    expects<ValueError>(thresholds[i] < above, "calibrate_policy: thresholds[", i, "] is ", thresholds[i],
                        ", expected a number below ", above, ": the most conservative comes first");
    above = thresholds[i];
  }
}

void check_enough(std::uint64_t n, const PolicyClaim& claim) {
  const std::uint64_t needed = minimum_samples(claim.risk, claim.beta);
  if (n < needed)
    throw CalibrationSizeError(
        text("calibrate_policy: ", n, " requests, expected at least ", needed, ": fewer certify no ", "risk of ",
             claim.risk.value, " at beta ", claim.beta.value, ", even without a violation"),
        needed);
}

double sum(std::span<const double> losses) { return std::accumulate(losses.begin(), losses.end(), 0.0); }

// p-value of "the mean loss is above the risk".
double p_value(std::span<const double> losses, const PolicyClaim& claim) {
  if (claim.kind == LossKind::graded) return betting_p(losses, claim.risk.value, claim.beta);
  return binomial_p({static_cast<std::uint64_t>(std::count(losses.begin(), losses.end(), 1.0)), losses.size()},
                    claim.risk.value);
}

}  // namespace

PolicyCalibration calibrate_policy(std::span<const double> losses, std::span<const double> thresholds,
                                   const PolicyClaim& claim) {
  check_thresholds(thresholds);
  expects<ShapeError>(losses.size() % thresholds.size() == 0, "calibrate_policy: ", losses.size(),
                      " losses, expected [", thresholds.size(), ", requests]");
  const std::size_t n = losses.size() / thresholds.size();
  check_enough(n, claim);  // and the claim's own numbers
  expects<ValueError>(n <= most_samples, "calibrate_policy: ", n, " requests, expected at most ", most_samples);
  for (std::size_t i = 0; i < losses.size(); ++i) {
    const bool allowed =
        claim.kind == LossKind::binary ? losses[i] == 0.0 || losses[i] == 1.0 : losses[i] >= 0.0 && losses[i] <= 1.0;
    expects<ValueError>(
        allowed, "calibrate_policy: the loss of threshold ", i / n, ", request ", i % n, " is ", losses[i],
        claim.kind == LossKind::binary ? ", expected 0 or 1 because the kind is binary" : ", expected in [0, 1]");
  }

  PolicyCalibration result;
  result.n = n;
  for (std::size_t i = 0; i < thresholds.size(); ++i) {
    result.p_values.push_back(p_value(losses.subspan(i * n, n), claim));
    if (result.p_values.back() > claim.beta.value) break;  // behind it, a test would spend beta once more
    result.index = i;
  }
  if (result.index) {
    const auto certified = losses.subspan(*result.index * n, n);
    result.threshold = thresholds[*result.index];
    result.loss = sum(certified);
    result.limit = std::min(recommended_upper(certified, claim.kind, claim.beta), claim.risk.value);
  }
  result.last_mean_loss = std::min(1.0, sum(losses.last(n)) / static_cast<double>(n));
  result.least_escalation = minimum_escalation_rate(result.last_mean_loss, claim.risk);
  return result;
}

}  // namespace mpp::guarantees

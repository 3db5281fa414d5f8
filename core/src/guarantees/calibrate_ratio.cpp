#include <algorithm>
#include <cmath>
#include <limits>

#include <mpp/core/guarantees/calibrate.hpp>
#include <mpp/core/guarantees/normal_number.hpp>
#include <mpp/core/guarantees/sample_size.hpp>

#include "src/guarantees/check.hpp"
#include "src/guarantees/conformal_slack.hpp"

namespace mpp::guarantees {
namespace {

void check_number(const char* what, std::size_t i, double value) {
  expects<ValueError>(value >= 0.0, what, "[", i, "] is ", value, ", expected >= 0");
}

void check_ranked(const char* function, std::uint64_t n, double risk) {
  expects<ValueError>(risk > 0.0 && risk < 1.0, function, ": risk is ", risk, ", expected in (0, 1)");
  expects<ValueError>(n <= most_samples, function, ": ", n, " requests, expected at most ", most_samples);
}

// Whether a rank of at most n exists, with n requests.
bool suffices(std::uint64_t n, double risk) { return conformal_slack(n, risk) >= 1; }

std::uint64_t conformal_size(double risk) {
  expects<ValueError>(suffices(most_samples, risk), "calibrate_ratio: risk ", risk, " needs more than ", most_samples,
                      " requests");
  std::uint64_t least = 1;
  std::uint64_t enough = most_samples;
  while (least < enough) {
    const std::uint64_t middle = least + (enough - least) / 2;
    suffices(middle, risk) ? enough = middle : least = middle + 1;
  }
  return least;
}

void check_enough(std::uint64_t n, std::uint64_t needed, const RatioClaim& claim) {
  if (n >= needed) return;
  std::string promise = text("a risk of ", claim.risk.value);
  if (claim.beta) promise += text(" at beta ", claim.beta->value);
  throw CalibrationSizeError(
      text("calibrate_ratio: ", n, " requests, expected at least ", needed, ": with fewer no kappa has ", promise),
      needed);
}

// P(Bin(n, 1 - risk) >= rank) = P(Bin(n, risk) <= n - rank), which falls with the rank: the most scores that may lie above.
std::uint64_t tolerance_rank(std::uint64_t n, double risk, double beta) {
  std::uint64_t above = 0;  // holds: the size was checked
  std::uint64_t too_many = n;
  while (too_many - above > 1) {
    const std::uint64_t middle = above + (too_many - above) / 2;
    (binomial_p({middle, n}, risk) <= beta ? above : too_many) = middle;
  }
  return n - above;
}

}  // namespace

double ratio_score(std::span<const double> errors, std::span<const double> estimates) {
  expects<ShapeError>(errors.size() == estimates.size() && !errors.empty(), "ratio_score: ", errors.size(),
                      " errors and ", estimates.size(), " estimates, expected one of each per level");
  check_rounding("ratio_score");
  double score = 0.0;
  for (std::size_t i = 0; i < errors.size(); ++i) {
    check_number("ratio_score: errors", i, errors[i]);
    check_number("ratio_score: estimates", i, estimates[i]);
    if (is_zero(errors[i]) || std::isinf(estimates[i])) continue;
    // The quotient is off by at most half a unit in the last place; below the normal numbers it may have been flushed.
    const double quotient = at_least_normal(errors[i]) / at_least_normal(estimates[i]);
    const double above = std::nextafter(quotient, std::numeric_limits<double>::infinity());
    score = std::max({score, above, std::numeric_limits<double>::min()});
  }
  return score;
}

std::uint64_t conformal_rank(std::uint64_t n, Delta risk) {
  check_ranked("conformal_rank", n, risk.value);
  return n + 1 - conformal_slack(n, risk.value);
}

RatioCalibration calibrate_ratio(std::span<const double> scores, const RatioClaim& claim) {
  const double risk = claim.risk.value;
  const std::uint64_t n = scores.size();
  check_ranked("calibrate_ratio", n, risk);
  check_enough(n, claim.beta ? minimum_samples(claim.risk, *claim.beta) : conformal_size(risk), claim);
  for (std::size_t i = 0; i < n; ++i) check_number("calibrate_ratio: scores", i, scores[i]);

  const std::uint64_t rank = claim.beta ? tolerance_rank(n, risk, claim.beta->value) : conformal_rank(n, claim.risk);
  std::vector<double> sorted(scores.begin(), scores.end());
  const auto at_rank = sorted.begin() + static_cast<std::ptrdiff_t>(rank - 1);
  std::nth_element(sorted.begin(), at_rank, sorted.end());
  return {.kappa = *at_rank, .rank = rank, .n = n};
}

}  // namespace mpp::guarantees

#pragma once
#include <cstdint>
#include <limits>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include <mpp/core/error.hpp>
#include <mpp/core/guarantees/limits.hpp>

/// From losses or scores of past requests to a threshold or a factor that the requests to come are released by.
///
/// Requests are independent draws of one population, measured against the exact level, and used for nothing else: not to
/// train the signal, not to choose or order the thresholds. Promises, proofs and what is not promised:
/// docs/guarantees_calibration.md. Too few requests are an error that names the size needed, never an extrapolation.
/// Tested by: tests/core/guarantees_calibration_test.cpp, tests/statistical/calibration_test.cpp
namespace mpp::guarantees {

/// Fewer requests than could ever certify, however good they are.
struct CalibrationSizeError : ValueError {
  CalibrationSizeError(const std::string& sentence, std::uint64_t size) : ValueError(sentence), needed(size) {}

  std::uint64_t needed;  ///< requests without which nothing can be certified
};

/// What calibrate_policy() is to certify. Declared before a loss is seen.
struct PolicyClaim {
  Delta risk;                        ///< largest mean loss of the policy; for 0/1 losses: rate of violations; in (0, 1)
  Delta beta{0.05};                  ///< chance that the calibration certifies a policy above it; in (0, 1)
  LossKind kind = LossKind::binary;  ///< binary: the released result violates epsilon or not
};

struct PolicyCalibration {
  std::optional<std::size_t> index;  ///< of the certified threshold; none: nothing is certified
  double threshold = std::numeric_limits<double>::quiet_NaN();  ///< the certified one; NaN releases nothing
  std::uint64_t n = 0;                                          ///< requests
  double loss = 0.0;   ///< sum at the certified threshold, to the nearest double: the violations, for 0/1 losses
  double limit = 1.0;  ///< that this threshold alone would certify: for reports, because the promise is the risk
  std::vector<double> p_values;   ///< of the thresholds tested, in order; only the last may be above beta
  double last_mean_loss = 0.0;    ///< of the last threshold, the most aggressive one
  double least_escalation = 0.0;  ///< minimum_escalation_rate() of that
};

/// Fixed-sequence Learn-then-Test. Tests "the mean loss is above the risk" for one threshold after the other, each at the
/// whole level beta, and stops at the first that is not refuted. The last refuted one is certified.
///
/// With probability at least 1 - beta over the draw of the requests, no threshold whose mean loss is above the risk is
/// certified. No correction for their number: the first bad one in the order is refuted wrongly with probability beta, and
/// behind it nothing is tested unless it is.
///
/// @param losses      shape [thresholds, requests]: of the whole policy as run, when it releases signals of at least the
///                    threshold; deterministic releases included, 0 where it went up to the exact level. Graded ones in
///                    an order that does not depend on their values: sorted by loss, they certify what is false
/// @param thresholds  falling strictly, so the most conservative one comes first; +infinity and NaN are refused
/// @throws CalibrationSizeError for fewer requests than minimum_samples(risk, beta): no losses would certify. Enough of
///         them for 0/1 losses without a violation; graded losses need more
/// @throws ShapeError if losses do not fill the shape; ValueError for a loss, threshold or claim outside its domain
/// Source: Angelopoulos et al. 2021 (arXiv 2110.01052), fixed-sequence testing.
[[nodiscard]] PolicyCalibration calibrate_policy(std::span<const double> losses, std::span<const double> thresholds,
                                                 const PolicyClaim& claim);

/// What calibrate_ratio() is to certify.
struct RatioClaim {
  Delta risk;                 ///< chance that a request has an error above kappa times its estimate; in (0, 1)
  std::optional<Delta> beta;  ///< as in PolicyClaim; none: split conformal, the risk is an average over calibrations
};

struct RatioCalibration {
  double kappa = std::numeric_limits<double>::infinity();  ///< infinite: too many scores are; it certifies nothing
  std::uint64_t rank = 0;                                  ///< kappa is the rank-th smallest score
  std::uint64_t n = 0;                                     ///< requests
};

/// The score of one request: max over its levels of error / estimate, rounded up. 0 / 0 is 0, x / 0 infinite, and an
/// infinite estimate holds for any error. Numbers between 0 and the smallest normal one, 2^-1022, count as that one here and
/// in CalibratedEstimator, so that a thread which flushes them gets the same score.
/// @param errors     against the exact level, shape [levels], >= 0; the exact level may be left out
/// @param estimates  what the signal says of them, shape [levels], >= 0
/// @throws ShapeError if the shapes differ or are empty, ValueError for NaN and negative numbers
[[nodiscard]] double ratio_score(std::span<const double> errors, std::span<const double> estimates);

/// ceil((n + 1) (1 - risk)), in integers and for the risk as the double that it is: the rank of split conformal. n + 1 if
/// n requests are too few.
/// @throws ValueError for n above most_samples or a risk outside (0, 1)
[[nodiscard]] std::uint64_t conformal_rank(std::uint64_t n, Delta risk);

/// A factor kappa with P(error <= kappa * estimate at every level) >= 1 - risk for the next request: one bound for all
/// levels at once, so epsilon may be chosen per request and after seeing the bounds.
///
/// Without beta: split conformal, conformal_rank(). The probability is over the calibration and the next request together,
/// so one calibration in two may be a little above the risk for good: an audited one wants beta. With beta: the smallest rank r with P(Bin(n, 1 - risk) >= r) <= beta; then the probability
/// over requests alone is at least 1 - risk, for all but beta of the calibrations. Ties count as covered.
///
/// @param scores  ratio_score() of each request, in [0, infinity]
/// @throws CalibrationSizeError if the rank is above the number of requests; ValueError for a NaN or negative score, or a
///         claim outside its domain or out of reach of most_samples requests
/// Source: Vovk, Gammerman, Shafer 2005, Section 2.2 (conformal); Wilks 1941 (tolerance limits).
[[nodiscard]] RatioCalibration calibrate_ratio(std::span<const double> scores, const RatioClaim& claim);

/// The same for each group of requests alone: the promise then holds given the group. Each group spends its own beta; that
/// all G of them hold at once has confidence 1 - G beta (union bound).
/// @param groups  name of each request's group, shape [requests]; known before the request runs
/// @throws as above, with the name of the group
[[nodiscard]] std::map<std::string, PolicyCalibration> calibrate_policy(std::span<const double> losses,
                                                                        std::span<const double> thresholds,
                                                                        std::span<const std::string> groups,
                                                                        const PolicyClaim& claim);
[[nodiscard]] std::map<std::string, RatioCalibration> calibrate_ratio(std::span<const double> scores,
                                                                      std::span<const std::string> groups,
                                                                      const RatioClaim& claim);

}  // namespace mpp::guarantees

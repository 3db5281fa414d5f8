#pragma once
#include <mpp/core/control/bound.hpp>
#include <mpp/speech/ctc_tier.hpp>

namespace mpp::speech {

/// Metric `score_gap`: ln(P(best) / P(answer)) in nats against the exact level; 0 means that the answer is proven optimal,
/// labellings that differ by less than the rounding of ln P in double, (T + 4) 2^-48, counting as equal.
///
/// Deterministic: the least of S1 (conservation of mass), S3 (charges along a chain of prefixes) and the suffix bound of all
/// frames, over all levels so far; infinite when the answer is impossible. Proofs, rounding included: docs/speech.md.
/// Tested by: tests/domains/speech/certificate_test.cpp, ctc_tier_test.cpp
class ScoreGap {
 public:
  ErrorBound bound(const CtcRequest&, const CtcState&, const CtcResult& result, Level, Delta) const {
    return ErrorBound::deterministic(result.gap);
  }
};

static_assert(Tier<CtcTier> && EstimatorFor<ScoreGap, CtcTier>);

}  // namespace mpp::speech

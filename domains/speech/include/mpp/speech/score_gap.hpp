#pragma once
#include <concepts>

#include <mpp/core/control/bound.hpp>
#include <mpp/speech/ctc_tier.hpp>

namespace mpp::speech {

/// Metric `score_gap`: how many nats the best labelling may score above the answer, against the exact level; 0 means that
/// the answer is proven optimal, labellings that differ by less than the rounding of a score in double counting as equal.
///
/// Deterministic. Sum semantics: ln(P(best) / P(answer)), the least of S1 (conservation of mass), S3 (charges along a
/// chain of prefixes) and the suffix bound of all frames, over all levels so far; docs/speech.md. Max semantics: the
/// largest f that was dropped; docs/speech_viterbi.md. Infinite while no possible answer is known. Rounding is included.
/// Tested by: tests/domains/speech/certificate_test.cpp, ctc_tier_test.cpp, viterbi_test.cpp
class ScoreGap {
 public:
  template <class Request, class State, class Result>
    requires requires(const Result& result) {
      { result.gap } -> std::convertible_to<double>;
    }
  ErrorBound bound(const Request&, const State&, const Result& result, Level, Delta) const {
    return ErrorBound::deterministic(result.gap);
  }
};

static_assert(Tier<CtcTier> && EstimatorFor<ScoreGap, CtcTier>);

}  // namespace mpp::speech

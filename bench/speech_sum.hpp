#pragma once
// Sum semantics on real emissions: which level proves the answer, with how many live hypotheses, bytes and microseconds.
#include <string>
#include <vector>

#include <mpp/core/memory/ledger.hpp>
#include <mpp/speech/score_gap.hpp>

#include "bench_json.hpp"
#include "speech_inputs.hpp"
#include "speech_serving.hpp"

namespace mpp::bench {

/// Serves an utterance at epsilon = 0 on the full ladder and reports it under speech.<name>_...
inline Outcome<speech::CtcResult> measure_proof(Report& report, const std::string& name,
                                                const speech::EmissionMatrix& m, int repetitions) {
  using namespace speech;
  const CtcTier tier;
  const ScoreGap estimator;
  Ledger ledger(Footprint::unlimited());
  const Controller controller(tier, estimator, ledger.root());
  const CtcRequest request{blank_last(m), 1};
  auto outcome = serve_to_proof(controller, request);  // not timed: pages and caches are cold
  std::vector<double> ms;
  for (int i = 0; i < repetitions; ++i) {
    const ThreadStopwatch watch;
    outcome = serve_to_proof(controller, request);
    ms.push_back(watch.seconds() * 1e3);
  }
  report.spread("speech." + name + "_ms", ms);
  report.set("speech." + name + "_live_hypotheses", static_cast<double>(outcome.raw->live_max));
  report.set("speech." + name + "_gap", outcome.bound.value());
  report.set("speech." + name + "_level", static_cast<double>(outcome.level));
  report.set("speech." + name + "_kb", static_cast<double>(outcome.peak.total().count) / 1e3);
  return outcome;
}

/// The ladder below the exact level on an utterance that it does not prove: the gap it returns, and what the gap covers.
/// @param log_optimum  of the exact level
/// @return             whether every gap is above 0 and covers the distance to the optimum
inline bool measure_gaps(Report& report, const std::string& name, const speech::EmissionMatrix& m, double log_optimum) {
  using namespace speech;
  const CtcOptions options;
  const CtcTier tier(options);
  const CtcRequest request{blank_last(m), 1};
  CtcState state(std::pmr::new_delete_resource());
  bool honest = true;
  for (Level level = 0; level < 3; ++level) {  // the next one lets the exact search try
    tier.materialise(request, state, level);
    const CtcResult result = tier.execute(request, state, level);
    const double missed = log_optimum - result.best.front().log_prob_upper;
    honest = honest && result.gap > 0.0 && result.gap >= missed;
    const std::string cap = ".cap" + std::to_string(options.live_caps[level]);
    report.set("speech." + name + "_gap" + cap, result.gap);
    report.set("speech." + name + "_missed" + cap, std::max(0.0, missed));
  }
  return honest;
}

/// @return whether the answers carry the certificates that their inputs allow
inline bool measure_sum(Report& report, const SpeechInputs& inputs) {
  const int repetitions = report.quick() ? 5 : 21;
  const auto sentence = measure_proof(report, "libri", inputs.libri, repetitions);
  const auto word = measure_proof(report, "iam_word", inputs.word, repetitions);
  const auto line = measure_proof(report, "iam_line_exact", inputs.line, report.quick() ? 1 : 3);
  const double optimum = line.raw->best.front().log_prob_lower;
  const bool honest = measure_gaps(report, "iam_line", inputs.line, optimum);
  return sentence.certified() && word.certified() && line.certified() && honest;
}

}  // namespace mpp::bench

#pragma once
// Max semantics with lexicon and language model on the LibriSpeech sentence: what a proof takes beside our own plain beam
// of width 2500, and what the look-ahead takes of it.
#include <cmath>
#include <filesystem>
#include <iostream>
#include <numbers>
#include <optional>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include <mpp/core/memory/ledger.hpp>
#include <mpp/speech/viterbi_tier.hpp>

#include "bench_json.hpp"
#include "speech_inputs.hpp"
#include "speech_serving.hpp"

namespace mpp::bench {

struct LanguageWeights {
  std::string name;  ///< as in metric names
  double lm_weight, word_bonus;
};

/// Three weights in two readings: as factors of log10, the unit of flashlight and torchaudio, and of the natural logarithm,
/// our unit. The second is 2.3 times as much model, and harder.
inline std::vector<LanguageWeights> language_weights() {
  std::vector<LanguageWeights> all;
  for (const auto& [name, factor] : {std::pair{"_log10", 1.0 / std::numbers::ln10}, std::pair{"_ln", 1.0}})
    for (const auto& [weight, bonus] : {std::pair{1.0, 0.0}, std::pair{2.0, 0.5}, std::pair{3.23, -0.26}}) {
      std::ostringstream text;
      text << "lm" << weight << name;
      all.push_back({text.str(), weight * factor, bonus});
    }
  return all;
}

/// The lexicon and the model with weights: shared by all utterances, so built outside of what is timed.
struct WeightedLanguage {
  speech::WordGraph words;
  speech::FoldedGraph folded{words};

  WeightedLanguage(const SpeechLanguage& language, double lm_weight, double word_bonus)
      : words(language.lexicon, &language.model,
              {.lm_weight = lm_weight, .word_bonus = word_bonus, .silence = libri_separator}) {}
  WeightedLanguage(const WeightedLanguage&) = delete;  // `folded` refers to `words`
};

/// Milliseconds of a decode by a plain beam of the width: no look-ahead, no pruning, one level. Median of three, after one
/// that is not counted.
inline double plain_beam_ms(const speech::ViterbiRequest& request, std::size_t width) {
  using namespace speech;
  const PlainViterbiTier tier({.live_caps = {width}});
  std::vector<double> ms;
  for (int i = 0; i < 4; ++i) {
    PlainViterbiTier::State state(std::pmr::new_delete_resource());
    const ThreadStopwatch watch;
    tier.materialise(request, state, 0);
    (void)tier.execute(request, state, 0);
    if (i > 0) ms.push_back(watch.seconds() * 1e3);
  }
  return median(ms);
}

struct LanguageFigures {
  double gap, state_mb, speedup, lookahead_ms;
};

/// Serves the sentence at epsilon = 0 and reports it under speech.libri_lm_<figure>.<weights>.
inline LanguageFigures measure_language(Report& report, const LanguageWeights& weights, const SpeechInputs& inputs,
                                        const SpeechLanguage& language) {
  using namespace speech;
  const WeightedLanguage graph(language, weights.lm_weight, weights.word_bonus);
  const ViterbiRequest request{blank_last(inputs.libri), &graph.folded, 1};
  const ViterbiTier tier;
  const ScoreGap estimator;
  Ledger ledger(Footprint::unlimited());
  const Controller controller(tier, estimator, ledger.root());
  std::optional<Outcome<ViterbiResult>> outcome;
  std::vector<double> ms, table_ms;
  const Stopwatch spent;
  for (int i = 0; i < 21 && (i == 0 || spent.seconds() < (report.quick() ? 0.5 : 10.0)); ++i) {
    const ThreadStopwatch table_watch;
    const LookAhead table(graph.folded, request.emissions, std::pmr::new_delete_resource());
    table_ms.push_back(table_watch.seconds() * 1e3);
    const ThreadStopwatch watch;
    outcome = serve_to_proof(controller, request);
    ms.push_back(watch.seconds() * 1e3);
  }
  const auto set = [&](const std::string& figure, double value) {
    report.set("speech.libri_lm_" + figure + "." + weights.name, value);
  };
  report.spread("speech.libri_lm_ms." + weights.name, ms);
  report.spread("speech.lookahead_ms." + weights.name, table_ms);
  set("score", outcome->raw->best.front().score_lower);
  set("level", static_cast<double>(outcome->level));
  set("live_mean", outcome->raw->live_mean);
  set("live_max", static_cast<double>(outcome->raw->live_max));
  const double plain = plain_beam_ms(request, 2500);
  set("width2500_ms", plain);
  const LanguageFigures figures{outcome->bound.value(), static_cast<double>(outcome->peak.total().count) / 1e6,
                                plain / median(ms), median(table_ms)};
  set("gap", figures.gap);
  set("state_mb", figures.state_mb);
  set("speedup_vs_width2500", figures.speedup);
  return figures;
}

/// All weights. The figures without one are those of lm2_log10.
/// @return whether every answer is proven
inline bool measure_languages(Report& report, const SpeechInputs& inputs) {
  if (!std::filesystem::exists(speech_folder() / "lm.arpa")) {
    std::cerr << "not run: lexicon and language model, there is no " << speech_folder() / "lm.arpa" << '\n';
    return true;
  }
  const SpeechLanguage language = SpeechLanguage::read();
  bool proven = true;
  for (const LanguageWeights& weights : language_weights()) {
    const LanguageFigures f = measure_language(report, weights, inputs, language);
    proven = proven && f.gap == 0.0;
    if (weights.name != "lm2_log10") continue;
    report.set("speech.libri_lm_state_mb", f.state_mb);
    report.set("speech.libri_lm_speedup_vs_width2500", f.speedup);
    report.set("speech.lookahead_ms", f.lookahead_ms);
  }
  return proven;
}

}  // namespace mpp::bench

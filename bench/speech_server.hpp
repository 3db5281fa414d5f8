#pragma once
// The side of bench_speech that bench/peers/speech.py drives, so that peers take turns with us on the same emissions.
#include <filesystem>
#include <functional>
#include <iostream>
#include <map>
#include <memory>
#include <optional>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include <nlohmann/json.hpp>

#include <mpp/core/memory/ledger.hpp>
#include <mpp/speech/score_gap.hpp>

#include "bench_json.hpp"
#include "npy.hpp"
#include "resident_memory.hpp"
#include "speech_inputs.hpp"
#include "speech_serving.hpp"
#include "speech_viterbi.hpp"

namespace mpp::bench {

/// Answers lines of stdin with one line of JSON each; bench/README.md describes them.
class SpeechServer {
 public:
  explicit SpeechServer(std::filesystem::path folder) : folder_(std::move(folder)) {}

  int serve() {
    std::cout << nlohmann::json{{"ready", true}}.dump() << std::endl;
    for (std::string line; std::getline(std::cin, line) && line != "quit";) {
      const bool rise = line.starts_with("rise ");
      std::istringstream words(rise ? line.substr(5) : line);
      const std::function<nlohmann::json()> decode = decoder(words);  // loads what it needs before memory is measured
      nlohmann::json found;
      if (rise) {
        const double bytes = resident_rise([&] { found = decode(); });
        found["rise_bytes"] = bytes;
      } else {
        found = decode();
      }
      std::cout << found.dump() << std::endl;
    }
    return 0;
  }

 private:
  std::function<nlohmann::json()> decoder(std::istream& words) {
    std::string command, name;
    words >> command >> name;
    if (command == "sum") {
      std::string ladder = "default";
      words >> ladder;
      return [this, ladder, &m = emissions(name)] { return sum(m, ladder); };
    }
    expects<ValueError>(command == "max", "bench_speech --serve: command is '", command, "', expected sum or max");
    double lm_weight = 0.0, word_bonus = 0.0;
    words >> lm_weight >> word_bonus;
    expects<ValueError>(!words.fail(), "bench_speech --serve: max ", name, " is not followed by two numbers");
    return [this, &m = emissions(name), &graph = weighted(lm_weight, word_bonus)] { return max(m, graph); };
  }

  /// The most probable labelling, served to a proof.
  nlohmann::json sum(const speech::EmissionMatrix& m, const std::string& ladder) {
    speech::CtcOptions options;
    if (ladder == "short") options.live_caps = {2, 16};
    const speech::CtcTier tier(options);
    const speech::ScoreGap estimator;
    const Controller controller(tier, estimator, ledger_.root());
    const speech::CtcRequest request{blank_last(m), 1};
    const ThreadStopwatch watch;
    const auto outcome = serve_to_proof(controller, request);
    const double ms = watch.seconds() * 1e3;
    nlohmann::json found = figures(outcome, ms);
    found["tokens"] = outcome.raw->best.front().tokens;
    found["score"] = outcome.raw->best.front().log_prob_lower;
    return found;
  }

  /// The best labelling with words of the lexicon, served to a proof.
  nlohmann::json max(const speech::EmissionMatrix& m, const WeightedLanguage& graph) {
    const speech::ViterbiTier tier;
    const speech::ScoreGap estimator;
    const Controller controller(tier, estimator, ledger_.root());
    const speech::ViterbiRequest request{blank_last(m), &graph.folded, 1};
    const ThreadStopwatch watch;
    const auto outcome = serve_to_proof(controller, request);
    const double ms = watch.seconds() * 1e3;
    std::vector<std::string> words;
    for (const speech::Lexicon::Word word : outcome.raw->best.front().words)
      words.emplace_back(graph.words.lexicon().text(word));
    nlohmann::json found = figures(outcome, ms);
    found["words"] = words;
    found["score"] = outcome.raw->best.front().score_lower;
    return found;
  }

  /// What both answers have.
  template <class Result>
  static nlohmann::json figures(const Outcome<Result>& outcome, double ms) {
    return {{"ms", ms},
            {"gap", outcome.bound.value()},
            {"certified", outcome.certified()},
            {"level", outcome.level},
            {"live_max", outcome.raw->live_max},
            {"request_bytes", outcome.peak.total().count}};
  }

  const WeightedLanguage& weighted(double lm_weight, double word_bonus) {
    if (!language_) language_.emplace(SpeechLanguage::read());
    auto& graph = graphs_[{lm_weight, word_bonus}];
    if (!graph) graph = std::make_unique<WeightedLanguage>(*language_, lm_weight, word_bonus);
    return *graph;
  }

  const speech::EmissionMatrix& emissions(const std::string& name) {
    const auto found = emissions_.find(name);
    if (found != emissions_.end()) return found->second;
    Matrix m = read_npy(folder_ / (name + ".npy"));
    return emissions_.emplace(name, speech::EmissionMatrix{std::move(m.values), m.rows, m.dims}).first->second;
  }

  std::filesystem::path folder_;
  std::map<std::string, speech::EmissionMatrix> emissions_;
  std::optional<SpeechLanguage> language_;
  std::map<std::pair<double, double>, std::unique_ptr<WeightedLanguage>> graphs_;
  Ledger ledger_{Footprint::unlimited()};
};

}  // namespace mpp::bench

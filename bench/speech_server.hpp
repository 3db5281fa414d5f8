#pragma once
// The side of bench_speech that bench/peers/speech.py drives, so that peers take turns with us on the same emissions.
#include <filesystem>
#include <iostream>
#include <map>
#include <sstream>
#include <string>

#include <nlohmann/json.hpp>

#include <mpp/core/control/controller.hpp>
#include <mpp/core/memory/ledger.hpp>
#include <mpp/speech/score_gap.hpp>

#include "bench_json.hpp"
#include "npy.hpp"
#include "resident_memory.hpp"
#include "speech_inputs.hpp"

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
      nlohmann::json found;
      if (rise) {
        const double bytes = resident_rise([&] { found = answer(words); });
        found = {{"rise_bytes", bytes}};
      } else {
        found = answer(words);
      }
      std::cout << found.dump() << std::endl;
    }
    return 0;
  }

 private:
  nlohmann::json answer(std::istream& words) {
    std::string command, name, ladder = "default";
    words >> command >> name;
    expects<ValueError>(command == "sum", "bench_speech --serve: command is '", command, "', expected sum");
    words >> ladder;
    return sum(emissions(name), ladder);
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
    const auto outcome = controller.serve(request);
    const double ms = watch.seconds() * 1e3;
    const speech::CtcResult& result = *outcome.raw;
    return {{"ms", ms},
            {"tokens", result.best.front().tokens},
            {"score", result.best.front().log_prob_lower},
            {"gap", outcome.bound.value()},
            {"certified", outcome.certified()},
            {"level", outcome.level},
            {"live_max", result.live_max},
            {"request_bytes", outcome.peak.total().count}};
  }

  const speech::EmissionMatrix& emissions(const std::string& name) {
    const auto found = emissions_.find(name);
    if (found != emissions_.end()) return found->second;
    Matrix m = read_npy(folder_ / (name + ".npy"));
    return emissions_.emplace(name, speech::EmissionMatrix{std::move(m.values), m.rows, m.dims}).first->second;
  }

  std::filesystem::path folder_;
  std::map<std::string, speech::EmissionMatrix> emissions_;
  Ledger ledger_{Footprint::unlimited()};
};

}  // namespace mpp::bench

#pragma once
#include <cstddef>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include <mpp/core/control/outcome.hpp>

#include "support/report.hpp"

namespace mpp::examples {

/// One utterance as it was decoded, certified or not.
struct Decoded {
  Verdict verdict{};
  Level level{};
  double bytes{};             ///< most that the request held
  double seconds{};           ///< median of the repetitions
  double gap{};               ///< nats: the promise, no other answer is better by more
  double behind{};            ///< nats by which the best answer of any run is better: above `gap` the bound is broken
  double live{};              ///< hypotheses per frame of the last search
  std::size_t word_errors{};  ///< against what was said
  std::string text{};
};

/// All utterances of a condition under one target.
struct DecodedSeries {
  std::string label;  ///< as written on the command line
  double epsilon{};   ///< nats
  std::vector<Decoded> utterances;
};

/// One condition: how loud the noise was.
struct Condition {
  std::string name;
  std::vector<DecodedSeries> series{};
  std::vector<std::vector<double>> gaps{};  ///< [capped levels][utterances]: on the way to a gap of 0, which stays 0
  std::vector<double> wide_seconds{};       ///< [utterances]: the widest beam for everybody
  std::size_t wide_errors{};                ///< words
};

/// One way to decode all utterances under all conditions.
struct DecoderRun {
  std::string name;                     ///< "Letters, sum over paths"
  std::string about;                    ///< one sentence
  std::vector<std::string> levels;      ///< cheapest first, the exact level last
  double worst_case{};                  ///< bytes that the largest request claims for all levels
  double wide_bytes{};                  ///< bytes of the widest beam alone, largest request
  std::size_t wide_cap{};               ///< live hypotheses of it
  std::vector<Condition> conditions{};  ///< quietest first
};

/// What a run of speech_beam measured.
struct SpeechRun {
  std::vector<std::string> said;  ///< [utterances]
  std::size_t words{};            ///< in all of them
  std::size_t tokens{};           ///< outputs of the acoustic model
  double seconds{};               ///< of sound, per condition
  std::vector<DecoderRun> decoders{};
};

/// One row per condition and target.
[[nodiscard]] Table summary(const SpeechRun& run, const DecoderRun& decoder);
/// One sentence per answer that another one beats by more than its bound: what must never be seen.
[[nodiscard]] std::vector<std::string> violations(const SpeechRun& run);
[[nodiscard]] nlohmann::json to_json(const SpeechRun& run);
[[nodiscard]] Report to_report(const SpeechRun& run);

}  // namespace mpp::examples

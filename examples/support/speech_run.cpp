#include "support/speech_run.hpp"

#include "support/speech_cell.hpp"

namespace mpp::examples {
namespace {

nlohmann::json to_json(const Cell& cell, const DecodedSeries& series, std::size_t words) {
  return {{"label", series.label},
          {"epsilon", series.epsilon},
          {"utterances", cell.bytes.size()},
          {"mean_bytes", mean(cell.bytes)},
          {"p99_bytes", quantile(cell.bytes, 0.99)},
          {"mean_live", mean(cell.live)},
          {"utterances_per_second", cell.per_second()},
          {"released_at", cell.released},
          {"open", cell.open},
          {"certified_gap", cell.gap},
          {"realised_gap", cell.behind},
          {"word_error_rate", percent(cell.word_errors, words) / 100.0}};
}

nlohmann::json to_json(const DecoderRun& decoder, std::size_t words) {
  nlohmann::json out = {{"name", decoder.name},
                        {"levels", decoder.levels},
                        {"worst_case_bytes", decoder.worst_case},
                        {"wide", {{"live_cap", decoder.wide_cap}, {"bytes", decoder.wide_bytes}}},
                        {"conditions", nlohmann::json::array()}};
  for (const Condition& condition : decoder.conditions) {
    nlohmann::json one = {{"name", condition.name},
                          {"wide_utterances_per_second", wide_per_second(condition)},
                          {"wide_word_error_rate", percent(condition.wide_errors, words) / 100.0},
                          {"targets", nlohmann::json::array()},
                          {"gaps", nlohmann::json::array()}};
    for (const DecodedSeries& series : condition.series)
      one["targets"].push_back(to_json(Cell::of(series, decoder.levels.size()), series, words));
    for (std::size_t level = 0; level < condition.gaps.size(); ++level)
      one["gaps"].push_back(
          {{"level", decoder.levels[level]}, {"nats", to_json(Quantiles::of(condition.gaps[level]))}});
    out["conditions"].push_back(one);
  }
  return out;
}

}  // namespace

Table summary(const SpeechRun& run, const DecoderRun& decoder) {
  std::string levels;
  for (const std::string& level : decoder.levels) levels += (levels.empty() ? "" : " / ") + level;
  Table table({"noise", "epsilon", "mean", "p99", "utterances/s", text("vs cap ", decoder.wide_cap),
               "released at " + levels + ", %", "open", "gap", "realised", "word errors, %"});
  for (const Condition& condition : decoder.conditions)
    for (const DecodedSeries& series : condition.series) {
      const Cell cell = Cell::of(series, decoder.levels.size());
      table.row({condition.name, series.label, bytes_text(mean(cell.bytes)), bytes_text(quantile(cell.bytes, 0.99)),
                 compact(cell.per_second()), compact(cell.per_second() / wide_per_second(condition)) + "x",
                 shares(cell.released, static_cast<double>(series.utterances.size())), std::to_string(cell.open),
                 compact(cell.gap), compact(cell.behind), compact(percent(cell.word_errors, run.words))});
    }
  return table;
}

std::vector<std::string> violations(const SpeechRun& run) {
  std::vector<std::string> out;
  for (const DecoderRun& decoder : run.decoders)
    for (const Condition& condition : decoder.conditions)
      for (const DecodedSeries& series : condition.series)
        for (std::size_t i = 0; i < series.utterances.size(); ++i) {
          const Decoded& one = series.utterances[i];
          if (one.behind <= one.gap) continue;  // false for NaN
          out.push_back(text(decoder.name, ", ", condition.name, ", utterance ", i, ", epsilon ", series.label,
                             ", answered at ", decoder.levels[one.level], ": another answer is ", one.behind,
                             " nats better, the certified gap is ", one.gap));
        }
  return out;
}

nlohmann::json to_json(const SpeechRun& run) {
  nlohmann::json out = {{"program", "speech_beam"},
                        {"metric", "score_gap"},
                        {"utterances", run.said.size()},
                        {"words", run.words},
                        {"tokens", run.tokens},
                        {"seconds_of_sound", run.seconds},
                        {"decoders", nlohmann::json::array()}};
  for (const DecoderRun& decoder : run.decoders) out["decoders"].push_back(to_json(decoder, run.words));
  return out;
}

}  // namespace mpp::examples

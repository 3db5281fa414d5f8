#include <algorithm>
#include <numeric>
#include <string>
#include <utility>

#include "support/speech_cell.hpp"

namespace mpp::examples {
namespace {

Bars stops(const DecoderRun& decoder, std::size_t target) {
  Bars bars{"Where requests stop", decoder.levels, {}, "not certified"};
  for (const Condition& condition : decoder.conditions) {
    const Cell cell = Cell::of(condition.series[target], decoder.levels.size());
    bars.rows.push_back({condition.name, cell.released, static_cast<double>(cell.open)});
  }
  return bars;
}

Curve gaps(const DecoderRun& decoder) {
  const Condition& quiet = decoder.conditions.front();
  Curve curve{"Gap against live hypotheses", "nats", {decoder.levels.begin(), decoder.levels.end() - 1}, {}, {}};
  for (const Condition* condition : {&quiet, &decoder.conditions.back()}) {
    if (condition == &quiet && !curve.lines.empty()) break;  // only one condition
    Curve::Line line{condition->name, {}};
    for (const auto& level : condition->gaps) line.points.push_back(Quantiles::of(level));
    curve.lines.push_back(line);
  }
  for (const DecodedSeries& series : quiet.series)
    if (series.epsilon > 0.0) curve.marks.push_back({"ε " + series.label, series.epsilon});
  return curve;
}

ByteSpread bytes(const DecoderRun& decoder) {
  ByteSpread spread{"Bytes per request", {"certified", "not certified"}, {}, decoder.worst_case};
  for (const Condition& condition : decoder.conditions) {
    ByteSpread::Row row{condition.name, {{}, {}}};
    for (const Decoded& one : condition.series.front().utterances)
      row.bytes[one.verdict == Verdict::certified ? 0 : 1].push_back(one.bytes);
    spread.rows.push_back(row);
  }
  return spread;
}

/// The utterances that noise spoilt most, as heard in each condition.
Table heard(const SpeechRun& run, const DecoderRun& decoder) {
  constexpr std::size_t shown = 3;
  const auto& noisiest = decoder.conditions.back().series.front().utterances;
  std::vector<std::size_t> order(run.said.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
    return std::pair(noisiest[a].word_errors, noisiest[a].live) > std::pair(noisiest[b].word_errors, noisiest[b].live);
  });
  order.resize(std::min(shown, order.size()));
  Table table({"said", "noise", "heard", "gap, nats", "live per frame", "held"}, 3);
  for (const std::size_t i : order)
    for (const Condition& condition : decoder.conditions) {
      const Decoded& one = condition.series.front().utterances[i];
      table.row({&condition == &decoder.conditions.front() ? run.said[i] : "", condition.name, one.text,
                 compact(one.gap), compact(one.live), bytes_text(one.bytes)});
    }
  return table;
}

void add(Report& report, const SpeechRun& run, const DecoderRun& decoder) {
  const std::size_t levels = decoder.levels.size();
  report.section(decoder.name, decoder.about);
  report.table(summary(run, decoder));
  for (std::size_t target = 0; target < decoder.conditions.front().series.size(); ++target) {
    const std::string label = decoder.conditions.front().series[target].label;
    report.section("Where requests stop, ε = " + label,
                   "Share of the utterances that were released at each cap of live hypotheses, from quiet to loud.");
    report.bars(stops(decoder, target));
  }
  report.section(
      "Gap against live hypotheses",
      "What is promised after each cap: no other answer is better by more. Median, 10 to 90 % as a band, the "
      "largest as a whisker; an utterance that was proven optimal stays at 0.");
  report.curve(gaps(decoder));
  report.section(
      "Bytes per request",
      text("The most that each utterance held on its way to ε = ", decoder.conditions.front().series.front().label,
           ". Every byte comes from a reservation; ", levels, " levels claim ", bytes_text(decoder.worst_case),
           " for the longest utterance. The axis is logarithmic; each row has its own height."));
  report.spread(bytes(decoder));
  report.section("What was heard", "The utterances with the most words wrong under the loudest noise.");
  report.table(heard(run, decoder));
}

}  // namespace

Report to_report(const SpeechRun& run) {
  const DecoderRun& first = run.decoders.front();
  const Condition &quiet = first.conditions.front(), &loud = first.conditions.back();
  const Cell quiet_cell = Cell::of(quiet.series.front(), first.levels.size());
  const Cell loud_cell = Cell::of(loud.series.front(), first.levels.size());
  Report report(
      "speech", "Decoding speech",
      text(grouped(run.said.size()), " spoken commands, ", compact(run.seconds), " s of sound, ", run.words,
           " words, under ", first.conditions.size(),
           " levels of noise. A small net of our own gives the probabilities of ", run.tokens,
           " tokens for every frame; the search begins with two live hypotheses and goes on until its answer is "
           "proven to be within ε nats of the best one. Command: speech_beam."));
  report.facts({{text("released with ", first.levels.front(), " live hypotheses, ", quiet.name),
                 compact(100.0 * quiet_cell.released.front() / static_cast<double>(run.said.size()), 2) + " %"},
                {text("mean per request, ", quiet.name), bytes_text(mean(quiet_cell.bytes))},
                {text("mean per request, ", loud.name), bytes_text(mean(loud_cell.bytes))},
                {"worst case per request", bytes_text(first.worst_case)},
                {"bounds that did not hold", std::to_string(violations(run).size())}});
  for (const DecoderRun& decoder : run.decoders) add(report, run, decoder);
  report.section(
      "What the columns mean",
      text(
          "Mean and p99: the most bytes a request held. Utterances/s: one thread, with everything a request does. Vs "
          "cap: "
          "against the widest beam for every utterance, which is what a decoder without levels runs (word errors "
          "beside "
          "it in the JSON). Open: answered with an honest gap above ε, because the exact level would have taken "
          "too long. Gap: the largest that was certified. Realised: by how much the best answer that any run met beats "
          "the one returned, at most. Word errors: substitutions, insertions and deletions over the words said."));
  return report;
}

}  // namespace mpp::examples

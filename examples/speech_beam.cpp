// What was said, decoded with two live hypotheses where that is provably enough and with more where noise demands it.
//
// A beam search keeps the best hypotheses and hopes that the best transcript is among them. Here every answer comes with a
// bound: no other transcript is more than so many nats better. A request begins with 2 live hypotheses and is released at
// the first cap whose bound is within epsilon. Two decoders: letters, each with the probability of all its paths; and
// words of a list on their best path, with a language model. Every answer is compared with those of the other runs: a
// bound that does not hold ends in exit code 1.
#include <algorithm>
#include <cstddef>
#include <iostream>
#include <string>
#include <vector>

#include <CLI/CLI.hpp>

#include <mpp/core/control/controller.hpp>
#include <mpp/core/memory/ledger.hpp>
#include <mpp/speech/ctc_exact.hpp>
#include <mpp/speech/emission_set.hpp>

#include "support/demo_main.hpp"
#include "support/letter_decoder.hpp"
#include "support/progress_line.hpp"
#include "support/speech_run.hpp"
#include "support/statistics.hpp"
#include "support/stopwatch.hpp"
#include "support/word_decoder.hpp"
#include "support/word_errors.hpp"

namespace {

using namespace mpp;
using namespace mpp::examples;
using namespace mpp::speech;

struct Options {
  std::string data = MPP_COMMANDS;
  std::vector<double> epsilon{0.0, 0.7};
  std::vector<std::size_t> caps{2, 16, 128, 1024};
  std::uint64_t max_expansions = 20'000;
  double lm_weight = 1.0;
  double word_bonus = 0.0;
  std::size_t utterances = 0;
  std::size_t repeat = 1;
  std::string json, report;
  bool progress = false;
};

void describe(CLI::App& app, Options& o) {
  app.add_option("--data", o.data,
                 "Folder of an emission set (examples/models/speech/README.md), quietest condition first")
      ->default_str("examples/models/commands")
      ->check(CLI::ExistingDirectory);
  app.add_option("--epsilon", o.epsilon,
                 "Gap accepted, in nats, one or more: no other transcript may be more than exp(epsilon) times as "
                 "probable. 0 asks for the proven optimum")
      ->capture_default_str();
  app.add_option("--caps", o.caps, "Live hypotheses of the levels below the exact one, increasing")
      ->capture_default_str();
  app.add_option("--max-expansions", o.max_expansions,
                 "Work allowed at the exact level; a request that needs more keeps its answer and its gap")
      ->capture_default_str();
  app.add_option("--lm-weight", o.lm_weight, "Factor of the language model's ln P(word | words before)")
      ->capture_default_str();
  app.add_option("--word-bonus", o.word_bonus, "Nats for every word")->capture_default_str();
  app.add_option("--utterances", o.utterances, "Decode only the first ones; 0: all")->capture_default_str();
  app.add_option("--repeat", o.repeat, "Times each request is timed; the median counts")
      ->capture_default_str()
      ->check(CLI::PositiveNumber);
  app.add_option("--json", o.json, "Write the figures to this file");
  app.add_option("--report", o.report, "Write an HTML report to this file; other workloads' parts in it stay");
  app.add_flag("--progress", o.progress, "Say on stderr how far it is, also when that is not a terminal");
}

/// Runs levels until the bound is within epsilon, at most `levels` of them.
template <class T, class E>
Outcome<typename T::Result> decode(const Controller<T, E>& controller, const typename T::Request& request,
                                   double epsilon, std::size_t levels) {
  auto session = controller.start(request, {.epsilon = {epsilon}});
  try {
    for (std::size_t level = 0; level < levels && !session.done() && session.advance(); ++level) {
    }
  } catch (const SearchTooLong&) {  // out of reach: the answer and the gap of the level before stand
  }
  return session.take();
}

/// Decodes one utterance under every target and with the widest beam, in turns, and compares the answers.
template <class Decoder>
class Turns {
 public:
  Turns(const Decoder& decoder, const Options& options, Ledger& ledger)
      : decoder_(decoder), options_(options), controller_(decoder.tier, decoder.estimator, ledger.root()),
        wide_(decoder.wide, decoder.estimator, ledger.root()) {}

  void operator()(const typename Decoder::Request& request, const std::string& said, Condition& condition) const {
    const std::size_t targets = options_.epsilon.size();
    std::vector<Outcome<Result>> outcomes(targets);
    Outcome<Result> wide;
    std::vector<std::vector<double>> times(targets);
    std::vector<double> wide_times;
    climb(request, condition);  // not timed, so first: nobody else pays for cold caches
    for (std::size_t round = 0; round < options_.repeat; ++round) {
      for (std::size_t i = 0; i < targets; ++i)
        times[i].push_back(
            seconds([&] { outcomes[i] = decode(controller_, request, options_.epsilon[i], decoder_.tier.levels()); }));
      wide_times.push_back(seconds([&] { wide = decode(wide_, request, 0.0, 1); }));
    }
    double best = decoder_.at_least(*wide.raw);
    for (const auto& outcome : outcomes) best = std::max(best, decoder_.at_least(*outcome.raw));
    condition.wide_seconds.push_back(median(wide_times));
    condition.wide_errors += word_errors(said, decoder_.text_of(*wide.raw));
    for (std::size_t i = 0; i < targets; ++i) {
      const Outcome<Result>& outcome = outcomes[i];
      condition.series[i].utterances.push_back({.verdict = outcome.verdict,
                                                .level = outcome.level,
                                                .bytes = static_cast<double>(outcome.peak.total().count),
                                                .seconds = median(times[i]),
                                                .gap = outcome.bound.value(),
                                                .behind = std::max(0.0, best - decoder_.at_most(*outcome.raw)),
                                                .live = outcome.raw->live_mean,
                                                .word_errors = word_errors(said, decoder_.text_of(*outcome.raw)),
                                                .text = decoder_.text_of(*outcome.raw)});
    }
  }

 private:
  using Result = typename Decoder::Result;

  // The trace of a request for the optimum has the bound of every level on the way; what is proven stays proven.
  void climb(const typename Decoder::Request& request, Condition& condition) const {
    const auto outcome = decode(controller_, request, 0.0, condition.gaps.size());
    for (std::size_t level = 0; level < condition.gaps.size(); ++level)
      condition.gaps[level].push_back(level < outcome.trace.size() ? outcome.trace[level].bound.value()
                                                                   : outcome.bound.value());
  }

  const Decoder& decoder_;
  const Options& options_;
  Controller<typename Decoder::Tier, typename Decoder::Estimator> controller_, wide_;
};

template <class Decoder>
DecoderRun measure(const Decoder& decoder, const EmissionSet& set, std::size_t utterances, const Options& o) {
  DecoderRun run{
      .name = decoder.name(), .about = decoder.about(), .levels = decoder.levels(), .wide_cap = o.caps.back()};
  const std::size_t top = decoder.tier.levels() - 1;
  for (std::size_t i = 0; i < utterances; ++i) {
    const auto request = decoder.request(set.emissions(0, i));
    run.worst_case = std::max(run.worst_case, static_cast<double>(decoder.tier.footprint(request, top).total().count));
    run.wide_bytes = std::max(run.wide_bytes, static_cast<double>(decoder.wide.footprint(request, 0).total().count));
  }
  Ledger ledger(Footprint::host(Bytes{static_cast<std::uint64_t>(std::max(run.worst_case, run.wide_bytes))}));
  const Turns turns(decoder, o, ledger);
  ProgressLine line("decoding, " + run.name, o.progress);
  for (std::size_t c = 0; c < set.conditions.size(); ++c) {
    Condition condition{.name = set.conditions[c].name, .gaps = std::vector<std::vector<double>>(top)};
    for (const double epsilon : o.epsilon) condition.series.push_back({text(epsilon), epsilon, {}});
    for (std::size_t i = 0; i < utterances; ++i) {
      turns(decoder.request(set.emissions(c, i)), set.utterances[i].text, condition);
      line(c * utterances + i + 1, set.conditions.size() * utterances);
    }
    run.conditions.push_back(std::move(condition));
  }
  return run;
}

SpeechRun measure(const Options& o) {
  const EmissionSet set = read_emission_set(o.data);
  const std::size_t utterances =
      o.utterances == 0 ? set.utterances.size() : std::min(o.utterances, set.utterances.size());
  SpeechRun run;
  run.tokens = set.tokens.size();
  for (std::size_t i = 0; i < utterances; ++i) {
    run.said.push_back(set.utterances[i].text);
    run.words += words_of(set.utterances[i].text).size();
    run.seconds += static_cast<double>(set.utterances[i].frames * set.frame_ms) / 1000.0;
  }
  run.decoders.push_back(measure(LetterDecoder(set, o.caps, o.max_expansions), set, utterances, o));
  if (WordDecoder::can_decode(o.data))
    run.decoders.push_back(measure(WordDecoder(set, o.data, o.caps, o.lm_weight, o.word_bonus), set, utterances, o));
  return run;
}

void print(const SpeechRun& run) {
  std::cout << grouped(run.said.size()) << " utterances, " << compact(run.seconds) << " s of sound, " << run.words
            << " words, " << run.tokens << " tokens\n";
  for (const DecoderRun& decoder : run.decoders)
    std::cout << '\n'
              << decoder.name << ": worst case " << bytes_text(decoder.worst_case) << " per request, a beam of "
              << grouped(decoder.wide_cap) << " alone " << bytes_text(decoder.wide_bytes) << "\n\n"
              << summary(run, decoder);
  std::cout << "\nmean and p99: most bytes a request held; epsilon, gap and realised: nats, the largest of all "
               "utterances;\nopen: answered with a gap above epsilon, the exact level was out of reach\n";
}

}  // namespace

int main(int argc, char** argv) {
  return demo_main<Options>(
      argc, argv, "speech_beam",
      "Certified decoding of spoken commands under noise: live hypotheses, memory, speed and gap.", describe,
      [](const Options& o) { return measure(o); }, print);
}

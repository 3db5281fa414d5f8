#pragma once
#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <memory_resource>
#include <random>
#include <vector>

#include <mpp/speech/ctc_stream.hpp>

#include "domains/speech/ctc_scenes.hpp"
#include "reference/ctc_reference.hpp"

namespace mpp::test {

/// What a fuzz of streams has seen.
struct StreamTally {
  std::size_t cases = 0, certified = 0, forced = 0, closed = 0;
  std::size_t gap_violations = 0;      ///< the gap of the whole stream below the truth
  std::size_t mass_violations = 0;     ///< S1 below the truth
  std::size_t chain_violations = 0;    ///< S3 below the truth
  std::size_t whole_violations = 0;    ///< the product over the segments below the truth
  std::size_t score_violations = 0;    ///< ln P outside its interval
  std::size_t segment_violations = 0;  ///< the gap of a segment below the truth
  std::size_t frame_violations = 0;    ///< a label not after the one before it, or outside of its segment
  std::size_t chunk_differences = 0;   ///< fed in other chunks, something else came out

  std::size_t violations() const {
    return gap_violations + mass_violations + chain_violations + whole_violations + score_violations +
           segment_violations + frame_violations + chunk_differences;
  }
};

struct StreamRun {
  speech::StreamOutput output;
  speech::StreamResult result;
  friend bool operator==(const StreamRun& a, const StreamRun& b) {
    return a.output.labels == b.output.labels && a.output.segments == b.output.segments && a.result == b.result;
  }
};

/// The whole of `e` through one stream, in chunks of the sizes that `next` gives.
template <class Policy = speech::StreamAccounting, class Next>
StreamRun run_stream(const speech::Emissions& e, const speech::CtcStreamOptions& options, const Next& next) {
  speech::Stream<speech::CtcStreamDecoder<Policy>> stream(std::pmr::new_delete_resource(), e.tokens, e.blank, options);
  StreamRun run;
  for (std::size_t t = 0; t < e.frames;) {
    const std::size_t frames = std::min<std::size_t>(next(), e.frames - t);
    stream.feed({e.log_probs.subspan(t * e.tokens, frames * e.tokens), frames, e.tokens, e.blank}, run.output);
    t += frames;
  }
  run.result = stream.finish(run.output);
  return run;
}

/// ln(most probable / `labels`) over the labellings of the frames [first, end).
inline double true_gap(const speech::Emissions& e, std::size_t first, std::size_t end,
                       const reference::Labels& labels) {
  if (first == end) return 0.0;
  const speech::Emissions part{e.log_probs.subspan(first * e.tokens, (end - first) * e.tokens), end - first, e.tokens,
                               e.blank};
  const reference::Labellings all = reference::all_labellings(part);
  return static_cast<double>(std::log(reference::most_probable(all)->second / all.at(labels)));
}

/// A broken twin: what the forgotten part of the trie was charged is forgotten too.
struct ForgetsBranches : speech::StreamAccounting {
  static void fold(float&, float) {}
};

/// Small random streams with narrow limits against enumeration.
template <class Policy = speech::StreamAccounting>
StreamTally fuzz_streams(std::size_t cases, std::uint64_t seed, bool closings = true) {
  using namespace speech;
  constexpr double slack = 1e-12;  // of the enumeration: 2^-64 per operation, a few hundred operations, and one log()
  StreamTally tally;
  std::mt19937_64 random(seed);
  const auto pick = [&](std::size_t low, std::size_t high) { return low + random() % (high - low + 1); };
  for (; tally.cases < cases; ++tally.cases) {
    const std::size_t frames = pick(1, 7), tokens = pick(1, 4);
    constexpr std::array sharpness{0.0, 0.3, 1.0, 2.0, 4.0, 8.0};
    EmissionMatrix m = pick(0, 1) == 0 ? tied_emissions(random, frames, tokens)
                                       : random_emissions(random, frames, tokens, sharpness[random() % 6],
                                                          pick(0, 2) == 0 ? 0.3 : 0.0);
    for (std::size_t t = 0; t < frames; ++t) {  // row sums up to the edge of the tolerance
      const auto shift = static_cast<float>((static_cast<double>(pick(0, 100)) - 50.0) * 1.9e-5);
      for (std::size_t k = 0; k < tokens; ++k) m.log_probs[t * tokens + k] += shift;
    }
    const Emissions e = m.view(random() % tokens);
    CtcStreamOptions options;
    options.live_cap = pick(1, 5);
    options.longest_uncommitted = pick(1, 3);
    options.node_capacity = options.longest_uncommitted + 2 + pick(0, 1) * pick(0, 30);
    options.relative_threshold = std::array{0.0, 0.01, 0.1, 0.25}[random() % 4];
    options.commit_interval = pick(1, 4);
    options.shortest_segment = closings ? pick(1, 8) : frames + 1;
    options.closing_blank = std::array{0.01, 0.3, 0.6, 0.9}[random() % 4];

    const StreamRun run = run_stream<Policy>(e, options, [&] { return frames; });
    tally.chunk_differences += run == run_stream<Policy>(e, options, [&] { return pick(1, 3); }) ? 0 : 1;
    reference::Labels answer;
    for (const StreamLabel& label : run.output.labels) answer.push_back(label.token);
    tally.certified += run.result.gap == 0.0 ? 1 : 0;
    tally.forced += run.result.forced;
    tally.closed += run.output.segments.size() - 1;
    const reference::Labellings truth = reference::all_labellings(e);
    long double total = 1.0L;  // what the stream divides by
    for (std::size_t t = 0; t < frames; ++t) {
      long double sum = 0.0L;
      for (const float x : e.row(t)) sum += std::exp(static_cast<long double>(x));
      total *= sum;
    }
    const auto log_of = [&](long double q) { return static_cast<double>(std::log(q / total)); };
    const double log_p = log_of(truth.at(answer)), best = log_of(reference::most_probable(truth)->second);
    long double second = 0.0L;
    for (const auto& [labels, q] : truth)
      if (labels != answer) second = std::max(second, q);
    const double others = log_of(second);
    tally.gap_violations += run.result.gap < best - log_p - slack ? 1 : 0;
    tally.mass_violations += run.result.others.mass < others - slack ? 1 : 0;
    tally.chain_violations += run.result.others.chains < others - slack ? 1 : 0;
    tally.whole_violations += run.result.others.whole < best - slack ? 1 : 0;
    tally.score_violations +=
        run.result.log_prob_lower > log_p + slack || run.result.log_prob_upper < log_p - slack ? 1 : 0;

    auto label = answer.begin();
    std::uint64_t free = 0;
    for (const StreamSegment& s : run.output.segments) {
      for (std::uint64_t i = 0; i < s.labels; ++i) {
        const auto& emitted = run.output.labels[static_cast<std::size_t>(label - answer.begin()) + i];
        const bool inside = emitted.frame >= std::max(free, s.first_frame) && emitted.frame < s.end_frame;
        tally.frame_violations += inside ? 0 : 1;
        free = emitted.frame + 1;
      }
      const auto end = label + static_cast<std::ptrdiff_t>(s.labels);
      const bool last = s.end_frame == frames && &s == &run.output.segments.back() && s.blank == 1.0;
      const std::size_t end_frame = last ? frames : s.end_frame - 1;  // without the frame that is given to be a blank
      tally.segment_violations += s.gap < true_gap(e, s.first_frame, end_frame, {label, end}) - slack ? 1 : 0;
      label = end;
    }
  }
  return tally;
}

}  // namespace mpp::test

#pragma once
#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <limits>
#include <memory_resource>
#include <random>
#include <vector>

#include <mpp/speech/viterbi_stream.hpp>

#include "domains/speech/viterbi_fuzz.hpp"
#include "reference/viterbi_reference.hpp"

namespace mpp::test {

/// What a fuzz of streams of words has seen.
struct WordStreamTally {
  std::size_t cases = 0, certified = 0, forced = 0, closed = 0, infeasible = 0, lost = 0;
  std::size_t gap_violations = 0;      ///< a labelling scores more than the answer and the gap of the stream
  std::size_t closed_violations = 0;   ///< one that is at all closings where the answer is, more than closed_gap
  std::size_t segment_violations = 0;  ///< the gap of a segment below the truth
  std::size_t score_violations = 0;    ///< the answer scores less than it says
  std::size_t wide = 0;                ///< an interval wider than the rounding of its sums
  std::size_t frame_violations = 0;    ///< a word not after the one before it, or outside of its segment
  std::size_t chunk_differences = 0;   ///< fed in other chunks, something else came out

  std::size_t violations() const {
    return gap_violations + closed_violations + segment_violations + score_violations + wide + frame_violations +
           chunk_differences;
  }
};

struct WordStreamRun {
  speech::WordStreamOutput output;
  speech::WordStreamResult result;
  friend bool operator==(const WordStreamRun& a, const WordStreamRun& b) {
    return a.output.words == b.output.words && a.output.segments == b.output.segments && a.result == b.result;
  }
};

/// The whole of `e` through one stream, in chunks of the sizes that `next` gives.
template <class Decoder = speech::ViterbiStreamDecoder, class Next>
WordStreamRun run_words(const speech::Emissions& e, const speech::ViterbiStreamOptions& options, const Next& next) {
  speech::Stream<Decoder> stream(std::pmr::new_delete_resource(), e.tokens, e.blank, options);
  WordStreamRun run;
  for (std::size_t t = 0; t < e.frames;) {
    const std::size_t frames = std::min<std::size_t>(next(), e.frames - t);
    stream.feed({e.log_probs.subspan(t * e.tokens, frames * e.tokens), frames, e.tokens, e.blank}, run.output);
    t += frames;
  }
  run.result = stream.finish(run.output);
  return run;
}

/// The words of a stream as the search numbers them.
inline std::uint32_t label_of(const speech::Lexicon& lexicon, const speech::StreamWord& word) {
  const auto [first, count] = lexicon.endings(word.node);
  for (std::uint32_t ending = first; ending < first + count; ++ending)
    if (lexicon.ending_word(ending) == word.word) return ending;
  return static_cast<std::uint32_t>(lexicon.endings()) + word.node;
}

/// A broken twin: what the search drops is not charged.
struct ForgetsDroppedWords : speech::WordStreamAccounting {
  static bool counts() { return false; }
};
using ForgetfulDecoder = speech::BasicViterbiStreamDecoder<speech::LookAhead, ForgetsDroppedWords>;

/// Small random streams with narrow limits against enumeration.
template <class Decoder = speech::ViterbiStreamDecoder>
WordStreamTally fuzz_word_streams(std::size_t cases, std::uint64_t seed, Scene scene = Scene::mixed,
                                  bool closings = true) {
  using namespace speech;
  static const std::vector<NgramModel> models = fuzz_models(48);
  constexpr long double none = -std::numeric_limits<long double>::infinity();
  WordStreamTally tally;
  std::mt19937_64 random(seed);
  const auto pick = [&](std::size_t low, std::size_t high) { return low + random() % (high - low + 1); };
  for (; tally.cases < cases; ++tally.cases) {
    const ViterbiCase problem(random, scene, models);
    const Emissions e = problem.emissions();
    const WordGraph& graph = problem.graph();
    const Lexicon& lexicon = graph.lexicon();
    const long double slack = problem.magnitude() * 0x1p-58L;
    ViterbiStreamOptions options{.graph = &problem.folded(), .live_cap = pick(1, 5)};
    options.shortest_block = pick(1, 3);
    options.longest_block = options.shortest_block + pick(0, 2);
    options.sure_blank = std::array{0.0, 1.0, 4.0}[random() % 3];
    options.closing_lead = closings ? std::array{0.0, 1.0, 4.0}[random() % 3] : std::numeric_limits<double>::infinity();
    options.beam_threshold = std::array{1.0, 4.0, 200.0, std::numeric_limits<double>::infinity()}[random() % 4];
    options.longest_uncommitted = pick(1, 3);
    options.history_capacity = options.longest_uncommitted + options.longest_block + 2 + pick(0, 1) * pick(0, 20);

    const WordStreamRun run = run_words<Decoder>(e, options, [&] { return e.frames; });
    tally.chunk_differences += run == run_words<Decoder>(e, options, [&] { return pick(1, 3); }) ? 0 : 1;
    const WordStreamResult& r = run.result;
    tally.certified += r.gap == 0.0 ? 1 : 0;
    tally.forced += r.forced;
    for (const WordSegment& s : run.output.segments) tally.closed += s.closed ? 1 : 0;

    reference::WordLabels answer;
    for (const StreamWord& word : run.output.words) answer.push_back(label_of(lexicon, word));
    long double best = none, of_answer = none;
    for (const auto& [labels, score] : reference::all_word_labellings(e, graph)) {
      best = std::max(best, score);
      if (labels == answer) of_answer = score;
    }
    tally.infeasible += best == none ? 1 : 0;
    const auto lower = static_cast<long double>(r.score_lower), upper = static_cast<long double>(r.score_upper);
    const auto exceeds = [&](long double score, double gap) {
      if (std::isinf(gap)) return false;
      return score > (gap == 0.0 ? upper : std::max(upper, lower + static_cast<long double>(gap))) + slack;
    };
    tally.gap_violations += exceeds(best, r.gap) ? 1 : 0;
    tally.lost += best > none && lower == none ? 1 : 0;
    tally.score_violations += lower > of_answer + slack || upper < lower ? 1 : 0;
    if (lower > none && !std::isinf(options.beam_threshold))
      tally.wide += upper - lower > problem.magnitude() * 0x1p-46L ? 1 : 0;

    // Segment by segment, in the contexts that the answer has at the closings.
    auto state = graph.begin();
    auto word = run.output.words.begin();
    std::uint64_t free = 0;
    long double at_closings = 0.0L;
    for (const WordSegment& s : run.output.segments) {
      auto end = state;
      reference::WordLabels labels;
      for (std::uint64_t i = 0; i < s.words; ++i, ++word) {
        tally.frame_violations += word->frame >= std::max(free, s.first_frame) && word->frame < s.end_frame ? 0 : 1;
        free = word->frame + 1;
        labels.push_back(label_of(lexicon, *word));
        end = word->word == WordTranscript::unknown ? graph.unknown(end).next : graph.word(end, word->word).next;
      }
      const std::size_t frames = s.end_frame - s.first_frame;
      const Emissions part{e.log_probs.subspan(s.first_frame * e.tokens, frames * e.tokens), frames, e.tokens, e.blank};
      long double most = none, own = none;
      for (const auto& [other, score] : !s.closed ? reference::all_word_labellings(part, graph, state)
                                                  : reference::word_labellings_between(part, graph, state, end)) {
        most = std::max(most, score);
        if (other == labels) own = score;
      }
      at_closings += most;
      if (!std::isinf(s.gap) && most > none)
        tally.segment_violations +=
            most - own > static_cast<long double>(s.gap) + problem.magnitude() * 0x1p-46L ? 1 : 0;
      state = end;
    }
    if (run.output.segments.back().closed) at_closings += static_cast<long double>(graph.end(state));
    tally.frame_violations += word == run.output.words.end() ? 0 : 1;
    tally.closed_violations += exceeds(at_closings, r.closed_gap) ? 1 : 0;
  }
  return tally;
}

}  // namespace mpp::test

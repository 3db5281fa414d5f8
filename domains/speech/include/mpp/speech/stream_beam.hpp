#pragma once
#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <memory_resource>
#include <span>

#include <mpp/core/memory/bytes.hpp>
#include <mpp/core/memory/uninitialized.hpp>
#include <mpp/speech/path_candidates.hpp>
#include <mpp/speech/path_expansion.hpp>
#include <mpp/speech/path_hypothesis.hpp>
#include <mpp/speech/timed_history.hpp>
#include <mpp/speech/viterbi_search.hpp>
#include <mpp/speech/word_stream.hpp>

namespace mpp::speech {

/// The live hypotheses of a stream in max semantics, and their words since the last commitment. Scores are relative to
/// what rebase() has taken off. docs/speech_stream.md
template <class LookAhead, class Policy>
class StreamBeam {
 public:
  StreamBeam(std::pmr::memory_resource* memory, std::size_t tokens, std::size_t blank,
             const ViterbiStreamOptions& options)
      : graph_(&options.graph->words()), folded_(options.graph), threshold_(options.beam_threshold),
        history_(memory, options.history_capacity), live_(memory), candidates_(memory, options.live_cap),
        expansion_(memory, *graph_, tokens, blank) {
    live_.reserve(options.live_cap);
    live_.push_back({0.0, 0, true, graph_->begin(), WordHistory::beginning});
  }
  static Bytes bytes(std::size_t tokens, const ViterbiStreamOptions& options) {
    return TimedHistory::bytes(options.history_capacity) + bytes_of<PathHypothesis>(options.live_cap) +
           PathCandidates<Policy>::bytes(options.live_cap) + PathExpansion<LookAhead, Policy>::bytes(tokens);
  }

  std::span<const PathHypothesis> live() const { return live_; }
  const TimedHistory& history() const { return history_; }

  /// One frame. @param next  number of the frame after it for the look-ahead  @param frame  its number in the stream
  void step(const LookAhead& look_ahead, std::size_t next, std::span<const float> row, std::uint64_t frame) {
    expansion_.start_frame(look_ahead, next, row);
    candidates_.start_frame(std::numeric_limits<double>::lowest(), live_.size());
    const auto dropped = [this](double f) { drop(f); };
    const auto offer = [&](const PathCandidate& c) { candidates_.offer(c, history_, dropped); };
    for (const PathHypothesis& h : live_) expansion_.expand(h, std::numeric_limits<double>::lowest(), offer);
    candidates_.select(threshold_, dropped);
    make_room();
    settle(frame);
  }

  /// The largest value of what was dropped since the last call, or -infinity.
  double take_dropped() {
    const double most = above(dropped_);
    dropped_ = nothing;
    return most;
  }
  /// By how much a score may be above that of its path, for all since the last call.
  double take_rounding() {
    const double sum = rounding_;
    rounding_ = 0.0;
    return sum;
  }

  /// Score of a hypothesis with what its context and the word that it is in may bring: what a look-ahead with an open end
  /// adds to. Rounded up.
  double value(const PathHypothesis& h) const {
    return sum_up(h.score(), sum_up(static_cast<double>(graph_->potential(h.state())),
                                    static_cast<double>(folded_->smear(h.position()))));
  }
  /// The live hypothesis of the largest value. There is one.
  const PathHypothesis& best() const {
    return *std::ranges::max_element(live_, {}, [this](const PathHypothesis& h) { return value(h); });
  }
  /// The position between words after a token.
  WordGraph::Position after(std::size_t token) const { return nodes() + static_cast<WordGraph::Position>(token); }
  /// Between words, after a blank.
  bool at_rest(const PathHypothesis& h) const { return h.position() == 0; }
  bool between_words(const PathHypothesis& h) const { return h.position() == 0 || h.position() >= nodes(); }

  /// The largest value of a hypothesis that goes.
  template <class Keep>
  double drop_unless(const Keep& keep) {
    double most = nothing;
    const auto end = std::remove_if(live_.begin(), live_.end(), [&](const PathHypothesis& h) {
      if (keep(h)) return false;
      most = std::max(most, value(h));
      return true;
    });
    live_.resize(static_cast<std::size_t>(end - live_.begin()));
    return most;
  }

  /// The words up to `word`, which all live hypotheses begin with, are forgotten.
  void commit(std::uint32_t word) {
    if (word == WordHistory::beginning) return;
    history_.begin_after(word);
    for (PathHypothesis& h : live_)
      if (h.history() == word) h.set_history(WordHistory::beginning);
    candidates_.clear();
    collect();
  }

  void rebase(double off) {
    double largest = 0.0;
    for (PathHypothesis& h : live_) {
      h = {sum_up(h.score(), -off), h.position(), h.blank(), h.state(), h.history()};
      largest = std::max(largest, std::abs(h.score()));
    }
    rounding_ += rounding_of_sum * largest;
    largest_before_ = largest;
  }

 private:
  static constexpr double nothing = -std::numeric_limits<double>::infinity();
  static constexpr std::uint32_t no_word = WordHistory::no_label;
  // sum_up() is above the sum by an ulp of the result at most, 2^-52 of it; the other half covers sums of these.
  static constexpr double rounding_of_sum = 0x1p-51;

  WordGraph::Position nodes() const { return static_cast<WordGraph::Position>(graph_->lexicon().nodes()); }

  void drop(double f) {
    if (Policy::counts()) dropped_ = std::max(dropped_, f);
  }

  // First forgets words that nobody needs, then drops the worse half. A single hypothesis and its words fit.
  void make_room() {
    for (bool collected = false;; collected = true) {
      const auto added = std::ranges::count_if(candidates_, [](const PathCandidate& c) { return c.word != no_word; });
      if (static_cast<std::size_t>(added) <= history_.room()) return;
      if (collected) {
        std::sort(candidates_.begin(), candidates_.end(), PathCandidates<Policy>::before);
        candidates_.drop_from(std::max<std::size_t>(1, candidates_.size() / 2), [this](double f) { drop(f); });
      }
      live_.clear();
      collect();
    }
  }

  void collect() {
    for (const PathHypothesis& h : live_) history_.keep(h.history());
    for (const PathCandidate& c : candidates_) history_.keep(c.history >> 1);
    history_.collect();
    for (PathHypothesis& h : live_) h.set_history(history_.moved(h.history()));
    for (PathCandidate& c : candidates_)
      c.history = PathCandidate::packed(history_.moved(c.history >> 1), (c.history & 1) != 0);
    history_.end_collect();
  }

  void settle(std::uint64_t frame) {
    double largest = 0.0, entered = 0.0;
    live_.clear();
    for (const PathCandidate& c : candidates_) {
      std::uint32_t last = c.history >> 1;
      if (c.word != no_word) {
        last = history_.add(last, c.word, frame);
        entered = std::max(entered, largest_before_ + std::abs(expansion_.emission(c.position - nodes())));
      }
      live_.push_back({c.score, c.position, (c.history & 1) != 0, c.state, last});
      largest = std::max(largest, std::abs(c.score));
    }
    rounding_ += rounding_of_sum * (largest + entered);  // a word is a second sum, after that with the emission
    largest_before_ = largest;
  }

  const WordGraph* graph_;
  const FoldedGraph* folded_;
  double threshold_;
  TimedHistory history_;
  Buffer<PathHypothesis> live_;
  PathCandidates<Policy> candidates_;
  PathExpansion<LookAhead, Policy> expansion_;
  double dropped_ = nothing, rounding_ = 0.0;
  double largest_before_ = 0.0;  // of the scores before this frame
};

}  // namespace mpp::speech

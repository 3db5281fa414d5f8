#pragma once
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <memory_resource>
#include <span>

#include <mpp/core/error.hpp>
#include <mpp/core/memory/bytes.hpp>
#include <mpp/core/memory/uninitialized.hpp>
#include <mpp/speech/ctc_exact.hpp>
#include <mpp/speech/directed.hpp>
#include <mpp/speech/emissions.hpp>
#include <mpp/speech/path_candidates.hpp>
#include <mpp/speech/path_expansion.hpp>
#include <mpp/speech/path_hypothesis.hpp>
#include <mpp/speech/word_graph.hpp>
#include <mpp/speech/word_history.hpp>

namespace mpp::speech {

struct ViterbiLimits {
  std::size_t live_cap = 16;          ///< hypotheses kept after each frame, in [1, most_paths]
  std::size_t history_capacity = 64;  ///< words known at a time, at least frames + 2
  double beam_threshold = std::numeric_limits<double>::infinity();  ///< nats that one may be below the frame's best
  bool exact = false;  ///< throw SearchTooLong where otherwise something would be dropped
};
inline constexpr std::size_t most_paths = std::size_t{1} << 26;

/// The decisions on which the certificate rests; tests replace them by broken ones.
struct ViterbiAccounting {
  static double sum(double a, double b) { return sum_up(a, b); }  ///< not below a + b
  static std::uint32_t merged(WordGraph::State state) { return static_cast<std::uint32_t>(state); }
  static bool counts() { return true; }                                 ///< what is dropped
  static std::uint32_t kept(std::uint32_t history) { return history; }  ///< of a checkpoint, when others are forgotten
  static bool forgets_frame() { return true; }  ///< of a checkpoint that is forgotten: the first frame takes its place
  static bool admits_full_history() { return true; }  ///< an exact search throws where others forget their checkpoint
  static bool smaller(const WordHistory& words, std::uint32_t a, std::uint32_t a_label, std::uint32_t b,
                      std::uint32_t b_label) {  ///< which of two histories with equal scores comes first
    return words.smaller(a, a_label, b, b_label);
  }
  /// Equal for labels that an n-best list takes for the same: all spellings of a word, but not two unknown words.
  static std::uint64_t word(const Lexicon& lexicon, std::uint32_t label) {
    return label < lexicon.endings() ? lexicon.ending_word(label) : std::uint64_t{label} << 32;
  }
};

/// Beam search in max semantics (docs/speech_viterbi.md).
///
/// Every frame extends each live hypothesis, merges equal ones, keeping the larger score, and keeps the live_cap best by
/// f = score + look-ahead. What cannot reach the incumbent is dropped for nothing; of everything else that is dropped the
/// largest f is remembered: no labelling scores more than max(dropped(), incumbent, what the search ends with).
/// Ties: equal f by position, blank, state, smaller first; equal scores of one key by WordHistory::smaller().
///
/// LookAhead has remaining(t, position): not below what frames t, t + 1, ... can still add by the upper bounds of the
/// graph, the words included that are not completed and the end of the sentence; -infinity where nothing can follow. With
/// the potential of its context it is a bound for a hypothesis. inside(t, token) with smear(p) is such a bound
/// for any position p inside a word whose last token it is: children that cannot reach the incumbent need no closer look.
///
/// All memory is taken by the constructor; bytes() says how much.
template <class LookAhead, class Policy = ViterbiAccounting>
class BasicViterbiSearch {
 public:
  using State = WordGraph::State;
  using Position = WordGraph::Position;

  BasicViterbiSearch(std::pmr::memory_resource* memory, const Emissions& emissions, const WordGraph& graph,
                     const LookAhead& look_ahead, const ViterbiLimits& limits)
      : emissions_(emissions), graph_(&graph), look_ahead_(&look_ahead), limits_(checked(limits, emissions.frames)),
        nodes_(static_cast<Position>(graph.lexicon().nodes())), history_(memory, limits.history_capacity),
        live_(memory), checkpoint_(memory), candidates_(memory, limits.live_cap),
        expansion_(memory, graph, emissions.tokens, emissions.blank) {
    live_.reserve(limits.live_cap);
    checkpoint_.reserve(limits.exact ? 0 : limits.live_cap);
    live_.push_back(start());
  }

  static Bytes bytes(std::size_t tokens, const ViterbiLimits& limits) {
    return WordHistory::bytes(limits.history_capacity) + PathCandidates<Policy>::bytes(limits.live_cap) +
           bytes_of<PathHypothesis>((limits.exact ? 1 : 2) * limits.live_cap) +
           PathExpansion<LookAhead, Policy>::bytes(tokens);
  }

  /// Goes on from where another search has first dropped something, instead of at the first frame: nothing before that
  /// can matter. What it had has to fit: not smaller limits than its.
  void resume(const BasicViterbiSearch& other) {
    if (other.checkpoint_.empty()) return;
    frame_ = other.checkpoint_frame_;
    live_.assign(other.checkpoint_.begin(), other.checkpoint_.end());
    history_.take(other.history_);
  }

  static Bytes released_bytes(const ViterbiLimits& limits) {
    return WordHistory::bytes(limits.history_capacity) + bytes_of<PathHypothesis>(limits.exact ? 0 : limits.live_cap);
  }

  /// Over the frames that are left. @param incumbent  lower bound of the score of some labelling, or -infinity
  /// @throws SearchTooLong if limits.exact and something would have to be dropped
  void run(double incumbent) {
    hopeless_ = std::max(below(incumbent), std::numeric_limits<double>::lowest());  // -infinity is always below it
    for (; frame_ < emissions_.frames; ++frame_) step();
    finish();
  }

  /// Gives back everything but what resume() needs; nothing else may follow.
  void release() {
    candidates_.release();
    collect();
    live_ = Buffer<PathHypothesis>(live_.get_allocator());
    expansion_.release();
  }

  /// No labelling scores more than this, the incumbent, and what was found.
  double dropped() const { return above(dropped_); }
  /// Labellings found, best first: scores rounded up, and the last of their words. One may be there more than once.
  std::size_t found() const { return candidates_.size(); }
  double found_score(std::size_t rank) const { return candidates_[rank].f; }
  std::uint32_t found_history(std::size_t rank) const { return candidates_[rank].history >> 1; }
  const WordHistory& history() const { return history_; }

  std::size_t frame() const { return frame_; }  ///< that run() goes on with, or all
  std::size_t live_max() const { return live_max_; }
  double live_mean() const {
    return frames_run_ == 0 ? 1.0 : static_cast<double>(live_sum_) / static_cast<double>(frames_run_);
  }

 private:
  static constexpr double nothing = -std::numeric_limits<double>::infinity();
  static constexpr std::uint32_t no_word = WordHistory::no_label;
  using Candidate = PathCandidate;

  static std::uint32_t packed(std::uint32_t history, bool blank) { return Candidate::packed(history, blank); }
  static const ViterbiLimits& checked(const ViterbiLimits& limits, std::size_t frames) {
    expects<ValueError>(limits.live_cap >= 1 && limits.live_cap <= most_paths, "ViterbiSearch: live_cap is ",
                        limits.live_cap, ", expected in [1, ", most_paths, "]");
    expects<ShapeError>(limits.history_capacity >= frames + 2 && limits.history_capacity < std::size_t{1} << 31,
                        "ViterbiSearch: history_capacity is ", limits.history_capacity,
                        ", expected at least frames + 2 = ", frames + 2, " and below 2^31");
    return limits;
  }
  PathHypothesis start() const { return {0.0, 0, true, graph_->begin(), WordHistory::beginning}; }
  static bool before(const Candidate& a, const Candidate& b) { return PathCandidates<Policy>::before(a, b); }

  void step() {
    expansion_.start_frame(*look_ahead_, frame_ + 1, emissions_.row(frame_));
    candidates_.start_frame(hopeless_, live_.size());
    const auto dropped = [this](double f) { drop(f); };
    const auto offer = [&](const Candidate& c) { candidates_.offer(c, history_, dropped); };
    for (const PathHypothesis& h : live_) expansion_.expand(h, hopeless_, offer);
    select();
    settle();
    ++frames_run_;
    live_sum_ += live_.size();
    live_max_ = std::max(live_max_, live_.size());
  }

  void drop(double f) {
    if (limits_.exact)
      throw SearchTooLong(text("ViterbiSearch: frame ", frame_, " needs more than ", limits_.live_cap,
                               " live hypotheses or ", limits_.history_capacity, " words"));
    if (checkpoint_.empty()) {
      checkpoint_.assign(live_.begin(), live_.end());
      checkpoint_frame_ = frame_;
    }
    if (Policy::counts()) dropped_ = std::max(dropped_, f);
  }

  void drop_from(std::size_t first) {
    candidates_.drop_from(first, [this](double f) { drop(f); });
  }

  void select() {
    candidates_.select(limits_.beam_threshold, [this](double f) { drop(f); });
    make_room();
  }

  // First forgets words that nobody needs, then the checkpoint, then the worse half of the candidates. A single one and
  // its words fit: a word takes a frame. The words of live_ may go at once: it has been expanded, and is no checkpoint
  // any more from the second round on.
  void make_room() {
    const auto completes = [](const Candidate& c) { return c.word != no_word; };
    for (int round = 0;; ++round) {
      const auto added = static_cast<std::size_t>(std::count_if(candidates_.begin(), candidates_.end(), completes));
      if (added <= history_.room()) return;
      if (round == 1) {
        if (Policy::admits_full_history()) drop(nothing);  // nothing yet, but the search is not exact any more
        checkpoint_.assign(1, start());
        if (Policy::forgets_frame()) checkpoint_frame_ = 0;
      }
      if (round > 1) {
        std::sort(candidates_.begin(), candidates_.end(), before);
        drop_from(std::max<std::size_t>(1, candidates_.size() / 2));
      }
      collect();
    }
  }

  void collect() {
    for (const PathHypothesis& h : checkpoint_) history_.keep(Policy::kept(h.history()));
    for (const Candidate& c : candidates_) history_.keep(c.history >> 1);
    history_.collect();
    for (PathHypothesis& h : checkpoint_) h.set_history(history_.moved(Policy::kept(h.history())));
    for (Candidate& c : candidates_) c.history = packed(history_.moved(c.history >> 1), (c.history & 1) != 0);
    history_.end_collect();
  }

  void settle() {
    live_.clear();
    for (const Candidate& c : candidates_) {
      const std::uint32_t before = c.history >> 1, after = c.word == no_word ? before : history_.add(before, c.word);
      live_.push_back({c.score, c.position, (c.history & 1) != 0, c.state, after});
    }
  }

  // The candidates become what was found.
  void finish() {
    candidates_.clear();
    for (const PathHypothesis& h : live_) {
      if (h.position() != 0 && h.position() < nodes_) continue;
      const double end = graph_->end(h.state());
      if (end == nothing) continue;
      const double score = Policy::sum(h.score(), end);
      candidates_.push_back({score, score, h.position(), h.state(), packed(h.history(), h.blank()), no_word});
    }
    std::sort(candidates_.begin(), candidates_.end(), [this](const Candidate& a, const Candidate& b) {
      if (a.f != b.f) return a.f > b.f;
      return Policy::smaller(history_, a.history >> 1, no_word, b.history >> 1, no_word);
    });
  }

  Emissions emissions_;
  const WordGraph* graph_;
  const LookAhead* look_ahead_;
  ViterbiLimits limits_;
  Position nodes_;
  WordHistory history_;
  Buffer<PathHypothesis> live_, checkpoint_;
  PathCandidates<Policy> candidates_;
  PathExpansion<LookAhead, Policy> expansion_;
  std::size_t frame_ = 0, checkpoint_frame_ = 0;
  double hopeless_ = nothing;  // what is below it cannot beat the incumbent
  double dropped_ = nothing;
  std::size_t frames_run_ = 0, live_sum_ = 0, live_max_ = 0;
};

}  // namespace mpp::speech

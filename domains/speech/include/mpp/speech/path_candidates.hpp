#pragma once
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <memory_resource>

#include <mpp/core/memory/bytes.hpp>
#include <mpp/core/memory/uninitialized.hpp>
#include <mpp/speech/merge_table.hpp>
#include <mpp/speech/word_graph.hpp>
#include <mpp/speech/word_history.hpp>

namespace mpp::speech {

/// What a live hypothesis may become at a frame.
struct PathCandidate {
  double f, score;  ///< score and what is left, to nearest; score, rounded up
  WordGraph::Position position;
  WordGraph::State state;
  std::uint32_t history;  ///< of its source, times 2, and the blank bit
  std::uint32_t word;     ///< that it completes: an ending, or endings + node of an unknown one, or no_label

  static std::uint32_t packed(std::uint32_t history, bool blank) {
    return history << 1 | static_cast<std::uint32_t>(blank);
  }
};
static_assert(sizeof(PathCandidate) == 32);

/// The candidates of a frame: equal ones merged, keeping the larger score, and the live_cap best by f kept. Ties: equal f
/// by position, blank, state, smaller first; equal scores of one key by Policy::smaller().
///
/// Each f that goes missing is told to a callable `drop`, once or more; what is below `hopeless` is not.
/// All memory is taken by the constructor; bytes() says how much.
template <class Policy>
class PathCandidates {
 public:
  PathCandidates(std::pmr::memory_resource* memory, std::size_t live_cap)
      : live_cap_(live_cap), candidates_(memory), table_(memory, most(live_cap)) {
    candidates_.reserve(most(live_cap));
  }
  static Bytes bytes(std::size_t live_cap) {
    return MergeTable::bytes(most(live_cap)) + bytes_of<PathCandidate>(most(live_cap));
  }
  void release() {
    candidates_ = Buffer<PathCandidate>(candidates_.get_allocator());
    table_.release();
  }

  static std::uint64_t key(const PathCandidate& c) {
    return std::uint64_t{c.position} << 33 | std::uint64_t{c.history & 1} << 32 |
           std::uint64_t{Policy::merged(c.state)};
  }
  static bool before(const PathCandidate& a, const PathCandidate& b) {
    return a.f != b.f ? a.f > b.f : key(a) < key(b);
  }

  auto begin() { return candidates_.begin(); }
  auto end() { return candidates_.end(); }
  auto begin() const { return candidates_.begin(); }
  auto end() const { return candidates_.end(); }
  std::size_t size() const { return candidates_.size(); }
  const PathCandidate& operator[](std::size_t i) const { return candidates_[i]; }
  void clear() { candidates_.clear(); }
  void push_back(const PathCandidate& candidate) { candidates_.push_back(candidate); }

  /// A new frame, in which `live` hypotheses are extended.
  void start_frame(double hopeless, std::size_t live) {
    candidates_.clear();
    hopeless_ = cutoff_ = hopeless;
    table_.clear(4 * live);
  }

  /// @param history  that candidates refer to
  template <class Drop>
  void offer(const PathCandidate& candidate, const WordHistory& history, const Drop& drop) {
    if (candidate.f < cutoff_) {
      if (candidate.f >= hopeless_) drop(candidate.f);
      return;
    }
    const std::uint64_t wanted = key(candidate);
    std::uint32_t& slot = table_.find(wanted, [&](std::uint32_t i) { return key(candidates_[i]) == wanted; });
    if (slot != MergeTable::none) return merge(candidates_[slot], candidate, history);
    if (candidates_.size() == most(live_cap_)) {
      shrink(drop);
      return offer(candidate, history, drop);
    }
    slot = static_cast<std::uint32_t>(candidates_.size());
    candidates_.push_back(candidate);
    if (table_.full(candidates_.size())) index();
  }

  /// Keeps the live_cap best of those that are at most `threshold` below the best.
  template <class Drop>
  void select(double threshold, const Drop& drop) {
    if (threshold < std::numeric_limits<double>::infinity() && !candidates_.empty()) {
      double best = -std::numeric_limits<double>::infinity();
      for (const PathCandidate& c : candidates_) best = std::max(best, c.f);
      const double least = best - threshold;
      const auto good = std::partition(candidates_.begin(), candidates_.end(),
                                       [least](const PathCandidate& c) { return c.f >= least; });
      drop_from(static_cast<std::size_t>(good - candidates_.begin()), drop);
    }
    if (candidates_.size() > live_cap_) shrink(drop);
  }

  template <class Drop>
  void drop_from(std::size_t first, const Drop& drop) {
    for (std::size_t i = first; i < candidates_.size(); ++i) drop(candidates_[i].f);
    candidates_.resize(first);
  }

 private:
  // When there are so many, the best live_cap are kept: each time this costs less than finding the others did.
  static std::size_t most(std::size_t live_cap) { return live_cap + live_cap / 2 + 1; }

  static void merge(PathCandidate& old, const PathCandidate& candidate, const WordHistory& history) {
    if (candidate.score < old.score) return;
    if (candidate.score > old.score ||
        Policy::smaller(history, candidate.history >> 1, candidate.word, old.history >> 1, old.word))
      old = candidate;
  }

  void index() {
    table_.clear(2 * candidates_.size());
    for (std::uint32_t i = 0; i < candidates_.size(); ++i)
      table_.find(key(candidates_[i]), [](std::uint32_t) { return false; }) = i;
  }

  template <class Drop>
  void shrink(const Drop& drop) {
    const auto last = candidates_.begin() + static_cast<std::ptrdiff_t>(live_cap_) - 1;
    std::nth_element(candidates_.begin(), last, candidates_.end(), before);
    cutoff_ = std::max(cutoff_, last->f);
    drop_from(live_cap_, drop);
    index();
  }

  std::size_t live_cap_;
  Buffer<PathCandidate> candidates_;
  MergeTable table_;
  double hopeless_ = 0.0;
  double cutoff_ = 0.0;  // what is below it is not among the live_cap best of the frame
};

}  // namespace mpp::speech

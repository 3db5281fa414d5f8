#pragma once
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <memory_resource>
#include <optional>
#include <span>
#include <utility>

#include <mpp/core/memory/uninitialized.hpp>
#include <mpp/speech/certificate.hpp>
#include <mpp/speech/incumbents.hpp>
#include <mpp/speech/viterbi_search.hpp>
#include <mpp/speech/word_alignment.hpp>

namespace mpp::speech {

/// What the searches of one request hand on: the best labellings so far, what no labelling exceeds, and the place from
/// which a wider search has to go on.
///
/// LookAhead::admissible says whether the certificate may rest on it; without, nothing is pruned against the incumbent
/// and there is a gap only where nothing was dropped.
template <class LookAhead, class Policy = ViterbiAccounting>
class BasicViterbiLadder {
 public:
  using Search = BasicViterbiSearch<LookAhead, Policy>;

  explicit BasicViterbiLadder(std::pmr::memory_resource* memory)
      : memory_(memory), labels_(memory), incumbents_(memory) {}

  void reserve(std::size_t n_best, std::size_t frames) {
    n_best_ = n_best;
    labels_.resize(frames);
    incumbents_.reserve(n_best, frames);
    alignment_.emplace(memory_, frames);
  }
  static Bytes bytes(std::size_t n_best, std::size_t frames) {
    return bytes_of<std::uint32_t>(frames) + Incumbents::bytes(n_best, frames) + WordAlignment::bytes(frames);
  }

  /// One search, unless the first incumbent is proven to be optimal. @throws SearchTooLong; what was there before stays
  void climb(const Emissions& emissions, const WordGraph& graph, const LookAhead& look_ahead,
             const ViterbiLimits& limits) {
    if (proven()) return;
    Search search(memory_, emissions, graph, look_ahead, limits);
    if (before_ && LookAhead::admissible) search.resume(*before_);
    before_.reset();
    resumed_ = search.frame();
    search.run(LookAhead::admissible && !incumbents_.empty() ? first().lower : -infinity);
    live_mean_ = search.live_mean();
    live_max_ = search.live_max();
    collect(search, emissions, graph);
    double others = search.dropped();
    if (!LookAhead::admissible && others > -infinity) others = infinity;
    upper_ = std::min(upper_, std::max(others, first().upper));
    search.release();
    before_.emplace(std::move(search));
  }

  /// Interval of the score of the best labelling so far; -infinity when there is none.
  LogInterval first() const {
    return incumbents_.empty() ? LogInterval{-infinity, -infinity} : incumbents_.log_probability(0);
  }
  /// Whether no labelling is better by more than the rounding of the score of the first.
  bool proven() const { return upper_ <= first().upper; }
  double gap() const { return proven() ? 0.0 : gap_above(upper_, first().lower); }

  const Incumbents& incumbents() const { return incumbents_; }
  /// Path of the first incumbent, which there is.
  const WordAlignment& align(const Emissions& emissions, const WordGraph& graph) {
    if (!aligned_) (void)alignment_->align(emissions, graph, incumbents_.labels(0));
    aligned_ = true;
    return *alignment_;
  }
  double live_mean() const { return live_mean_; }
  std::size_t live_max() const { return live_max_; }
  std::size_t resumed() const { return resumed_; }  ///< frame at which the last search began

 private:
  static constexpr double infinity = std::numeric_limits<double>::infinity();

  void collect(const Search& search, const Emissions& emissions, const WordGraph& graph) {
    const Lexicon& lexicon = graph.lexicon();
    const auto word = [&](std::uint32_t label) { return Policy::word(lexicon, label); };
    const auto same = [&](std::span<const std::uint32_t> a, std::span<const std::uint32_t> b) {
      return std::ranges::equal(a, b, {}, word, word);
    };
    const auto better = [](auto a, const LogInterval& p, auto b, const LogInterval& q) {
      if (p.upper != q.upper) return p.upper > q.upper;
      return std::lexicographical_compare(a.rbegin(), a.rend(), b.rbegin(), b.rend());
    };
    std::size_t different = 0;
    for (std::size_t rank = 0; rank < search.found() && different < n_best_; ++rank) {
      const double score = search.found_score(rank);
      const auto labels = read(search.history(), search.found_history(rank));
      std::size_t known = 0;
      while (known < incumbents_.size() && !same(incumbents_.labels(known), labels)) ++known;
      if (known < incumbents_.size() &&
          !better(labels, {score, score}, incumbents_.labels(known), incumbents_.log_probability(known)))
        continue;
      ++different;
      LogInterval p = alignment_->align(emissions, graph, labels);
      p.upper = std::max(p.upper, score);
      incumbents_.offer(labels, p, same, better);
      aligned_ = false;
    }
  }

  std::span<const std::uint32_t> read(const WordHistory& history, std::uint32_t number) {
    std::size_t at = labels_.size();
    for (; number != WordHistory::beginning; number = history.parent(number)) labels_[--at] = history.label(number);
    return {labels_.data() + at, labels_.size() - at};
  }

  std::pmr::memory_resource* memory_;
  Buffer<std::uint32_t> labels_;  // [frames] of one hypothesis
  Incumbents incumbents_;
  std::optional<WordAlignment> alignment_;
  std::optional<Search> before_;  // its checkpoint
  std::size_t n_best_ = 1;
  bool aligned_ = false;
  double upper_ = infinity;  // no labelling scores more
  double live_mean_ = 0.0;
  std::size_t live_max_ = 0, resumed_ = 0;
};

}  // namespace mpp::speech

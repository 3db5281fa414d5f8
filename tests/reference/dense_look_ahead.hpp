#pragma once
#include <algorithm>
#include <limits>
#include <memory_resource>
#include <utility>
#include <vector>

#include <mpp/core/memory/bytes.hpp>
#include <mpp/speech/directed.hpp>
#include <mpp/speech/emissions.hpp>
#include <mpp/speech/look_ahead.hpp>
#include <mpp/speech/word_graph.hpp>

namespace mpp::reference {

/// The look-ahead without any compression, frame by frame from the last one: a value for every position, before and after
/// a blank, sums rounded up.
template <class Completed>
class DensePass {
 public:
  using Position = speech::WordGraph::Position;
  static constexpr double impossible = -std::numeric_limits<double>::infinity();

  /// Before any step: no frame is left. Keeps a copy of `e`, which is a view.
  /// @param completed  (node) what may be added by the words that end there
  DensePass(const speech::WordGraph& graph, const speech::Emissions& e, double end, Completed completed)
      : graph_(graph), lexicon_(graph.lexicon()), emissions_(e), completed_(std::move(completed)),
        nodes_(static_cast<Position>(lexicon_.nodes())), frame_(e.frames),
        values_(2 * (lexicon_.nodes() + e.tokens), impossible), next_(values_) {
    for (Position p = 0; p < positions(); ++p)
      if (is_root(p)) at(values_, p, false) = at(values_, p, true) = end;
  }

  /// One frame more is left.
  void step() {
    --frame_;
    next_.swap(values_);
    for (Position p = 0; p < positions(); ++p)
      for (const bool blank : {false, true}) at(values_, p, blank) = best_of(p, blank);
  }
  double remaining(Position position) const { return std::max(values_[2 * position], values_[2 * position + 1]); }
  Position positions() const { return static_cast<Position>(values_.size() / 2); }

 private:
  bool is_root(Position p) const { return p == 0 || p >= nodes_; }
  static double& at(std::vector<double>& values, Position position, bool blank) {
    return values[2 * position + (blank ? 1 : 0)];
  }

  double best_of(Position p, bool blank) {
    if (blank && p >= nodes_) return impossible;  // after a blank, the root is position 0
    const auto last = p >= nodes_ ? static_cast<speech::Token>(p - nodes_)
                      : p > 0     ? lexicon_.token(static_cast<speech::Lexicon::Node>(p))
                                  : speech::Token{};
    const bool barred = !blank && p != 0;
    double best = impossible;
    const auto raise = [&](std::size_t k, double rest) {
      const double emission = graph_.emission(emissions_.row(frame_), static_cast<speech::Token>(k));
      if (emission > impossible && rest > impossible) best = std::max(best, speech::sum_up(emission, rest));
    };
    raise(emissions_.blank, at(next_, is_root(p) ? 0 : p, true));
    if (barred) raise(last, at(next_, p, false));
    const auto silence = graph_.weights().silence;
    if (is_root(p) && silence && !(barred && last == *silence)) raise(*silence, at(next_, nodes_ + *silence, false));
    const auto [first, count] = lexicon_.children(is_root(p) ? 0 : static_cast<speech::Lexicon::Node>(p));
    for (auto child = first; child < first + count; ++child) {
      const speech::Token k = lexicon_.token(child);
      if (barred && k == last) continue;
      if (lexicon_.children(child).count > 0) raise(k, at(next_, child, false));
      const double word = completed_(child), rest = at(next_, nodes_ + k, false);
      if (word > impossible && rest > impossible) raise(k, speech::sum_up(word, rest));
    }
    return best;
  }

  const speech::WordGraph& graph_;
  const speech::Lexicon& lexicon_;
  const speech::Emissions emissions_;
  Completed completed_;
  Position nodes_;
  std::size_t frame_;
  std::vector<double> values_, next_;  // [positions, without and with a blank before]
};

/// With the upper bounds of the graph: what LookAhead may not go below.
inline auto dense_pass(const speech::WordGraph& graph, const speech::Emissions& e) {
  return DensePass(graph, e, static_cast<double>(graph.end_upper()), [&graph](speech::Lexicon::Node node) {
    const auto words = graph.lexicon().words_at(node);
    if (words.empty()) return static_cast<double>(graph.unknown_upper());
    double best = -std::numeric_limits<double>::infinity();
    for (const auto word : words) best = std::max(best, static_cast<double>(graph.word_upper()[word]));
    return best;
  });
}

/// All frames of a pass, in the place of LookAhead.
class DenseLookAhead {
 public:
  static constexpr bool admissible = true;

  DenseLookAhead(const speech::FoldedGraph& folded, const speech::Emissions& e, std::pmr::memory_resource*,
                 const speech::LookAheadOptions& = {})
      : DenseLookAhead(dense_pass(folded.words(), e), e.frames) {}
  static Bytes bytes(const speech::FoldedGraph&, std::size_t) { return {}; }
  static Bytes building_bytes(const speech::FoldedGraph&, std::size_t) { return {}; }

  double remaining(std::size_t t, speech::WordGraph::Position position) const { return rows_[t][position]; }
  /// A bound of no use: a search has to do without.
  double inside(std::size_t, speech::Token) const { return std::numeric_limits<double>::infinity(); }

 protected:
  template <class Completed>
  DenseLookAhead(DensePass<Completed> pass, std::size_t frames) : rows_(frames + 1) {
    for (std::size_t t = frames + 1; t-- > 0;) {
      if (t < frames) pass.step();
      for (speech::WordGraph::Position p = 0; p < pass.positions(); ++p) rows_[t].push_back(pass.remaining(p));
    }
  }

 private:
  std::vector<std::vector<double>> rows_;  // [frames + 1, positions]
};

}  // namespace mpp::reference

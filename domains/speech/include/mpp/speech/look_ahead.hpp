#pragma once
#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <memory_resource>
#include <optional>

#include <mpp/core/memory/bytes.hpp>
#include <mpp/core/memory/uninitialized.hpp>
#include <mpp/speech/emissions.hpp>
#include <mpp/speech/folded_graph.hpp>

namespace mpp::speech {

struct LookAheadOptions {
  /// Arcs that lead to more than this (nats) below the best of a frame share one bound in that frame. Smaller is faster and
  /// looser. The default is 0.72 FoldedGraph::spread(), what the model can make of a word, but at least 8: a path that takes
  /// such an arc for nothing then loses nearly always.
  std::optional<double> follow{};
  /// More frames follow: a path may end in any position, and a word that it is in counts as what is best below there
  /// (WordGraph::smear). There is no end of the sentence.
  bool open_end = false;
};

/// Upper bounds of what a path can still add: the admissible look-ahead of a search in max semantics.
///
///     remaining(t, p)  >=  best completion of a path that is in position p before frame t: emissions of the frames t, t + 1,
///                          ..., every word not ended yet, and the end of the sentence, in any context of the model,
///                          less the potential of that context (WordGraph::potential)
///
/// for the position before and after a blank. One value of 2 bytes per frame and column of the folded graph (there are
/// 560 for English) and token, 8 bytes per frame; nothing heuristic and nothing that can round down (proof: docs/speech_lookahead.md).
/// Refers to the folded graph. Any number of threads may read one.
class LookAhead {
 public:
  using Position = FoldedGraph::Position;
  static constexpr bool admissible = true;

  /// @param emissions  not read after the constructor; need not be normalised
  /// @param memory     takes bytes() for as long as this lives, and building_bytes() while it is built
  /// @throws ShapeError, ValueError as check_emissions(); ValueError when the blank is a token of the lexicon, or the
  ///         emissions lack one of its tokens, or options.follow is negative or NaN
  LookAhead(const FoldedGraph& graph, const Emissions& emissions, std::pmr::memory_resource* memory,
            const LookAheadOptions& options = {});
  LookAhead(FoldedGraph&&, const Emissions&, std::pmr::memory_resource*, const LookAheadOptions& = {}) = delete;

  static Bytes bytes(const FoldedGraph& graph, std::size_t frames);
  static Bytes building_bytes(const FoldedGraph& graph, std::size_t frames);

  /// @param t  in [0, frames]
  /// @return   -infinity for a position that cannot finish
  double remaining(std::size_t t, Position position) const noexcept {
    const std::uint16_t column = graph_->column(position);
    if (column == FoldedGraph::no_column) return -std::numeric_limits<double>::infinity();
    const std::int16_t code = code_[t * width_ + column];
    if (code == kernels::backward_dead) return -std::numeric_limits<double>::infinity();
    const double rest = base_[t] + step_ * static_cast<double>(code);
    const double sum = rest + static_cast<double>(graph_->smear(position));
    return sum + 0x1p-52 * (std::abs(rest) + std::abs(sum));  // more than the two sums and this one can round away
  }
  /// With smear(p) a bound of what remaining(t, p) bounds, for any position p inside a word whose last token it is.
  double inside(std::size_t t, Token token) const noexcept {
    const std::size_t tokens = graph_->tokens();
    const std::int16_t code = token < tokens ? inside_[t * tokens + token] : kernels::backward_dead;
    if (code == kernels::backward_dead) return -std::numeric_limits<double>::infinity();
    const double rest = base_[t] + step_ * static_cast<double>(code);
    return rest + 0x1p-52 * std::abs(rest);
  }
  /// With smear(p) a bound of what remaining(t, p) bounds, whatever the position.
  double most(std::size_t t) const noexcept {
    const std::int16_t code = *std::max_element(code_.begin() + static_cast<std::ptrdiff_t>(t * width_),
                                                code_.begin() + static_cast<std::ptrdiff_t>((t + 1) * width_));
    if (code == kernels::backward_dead) return -std::numeric_limits<double>::infinity();
    const double rest = base_[t] + step_ * static_cast<double>(code);
    return rest + 0x1p-52 * std::abs(rest);
  }
  /// remaining(t, root with nothing before it); at t = 0, with the potential of the first context, a bound of the optimum.
  double root(std::size_t t) const noexcept { return remaining(t, 0); }

  std::size_t frames() const noexcept { return base_.size() - 1; }
  const FoldedGraph& graph() const noexcept { return *graph_; }

 private:
  const FoldedGraph* graph_;
  std::size_t width_;
  double step_;                  // nats of a code
  Buffer<double> base_;          // [frames + 1] what code 0 stands for
  Buffer<std::int16_t> code_;    // [frames + 1, width]
  Buffer<std::int16_t> inside_;  // [frames + 1, tokens] largest code of the columns of a token
};

}  // namespace mpp::speech

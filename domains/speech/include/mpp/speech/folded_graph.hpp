#pragma once
#include <cstddef>
#include <cstdint>
#include <vector>

#include <mpp/core/memory/footprint.hpp>
#include <mpp/kernels/backward_bound.hpp>
#include <mpp/speech/word_graph.hpp>

namespace mpp::speech {

/// A word graph folded for the backward pass of LookAhead: nodes that are entered by the same token and below which the
/// next two tokens can be the same become one state. An arc is worth the best of the arcs that it stands for, relative to
/// the smear of its nodes, so every path through the lexicon is there and is worth at least as much: a bound over the
/// states is a bound over the nodes. 91,911 nodes of 26,709 English words become 11,000 states.
///
/// Weights are integers, in units of quantum() nats, rounded up. States with the same last token and the same best next
/// token form a column; a LookAhead has one value per column and frame.
///
/// Immutable; any number of threads may read one. Refers to the word graph, which must outlive it.
class FoldedGraph {
 public:
  using Position = WordGraph::Position;
  static constexpr std::uint16_t no_column = 0xFFFF;

  /// @param most_columns  with more columns than this, all states with the same last token form one
  /// @throws ValueError if most_columns is 0 or above 32,768, or there are 65,535 columns of states and roots or more
  explicit FoldedGraph(const WordGraph& graph, std::size_t most_columns = 1024);
  explicit FoldedGraph(WordGraph&&, std::size_t = 0) = delete;  // refers to the graph

  const WordGraph& words() const noexcept { return *words_; }

  /// The column of a position, no_column where no path can go on: a node below which no word has a finite weight, the root
  /// after a token that ends no word.
  std::uint16_t column(Position position) const noexcept {
    return position < column_.size() ? column_[position] : no_column;
  }
  /// Columns [first, last) of the states whose last token it is; none for one that the graph does not know.
  std::pair<std::size_t, std::size_t> columns_of(Token token) const noexcept {
    return token < tokens_ ? std::pair<std::size_t, std::size_t>{token_columns_[token], token_columns_[token + 1]}
                           : std::pair<std::size_t, std::size_t>{};
  }
  /// Largest weight that a path in the position is still to be paid for the word it is in; 0 at the root.
  float smear(Position position) const noexcept {
    return position == 0 || position >= nodes_ ? 0.0F : words_->smear()[position];
  }

  /// Tokens of the arrays: those of the lexicon and the silence, then the blank.
  std::size_t tokens() const noexcept { return tokens_; }
  std::size_t states() const noexcept { return states_; }
  std::size_t columns() const noexcept { return column_token_.size(); }
  kernels::BackwardGraph arrays() const noexcept;

  double quantum() const noexcept { return quantum_; }  ///< nats, a power of two
  std::int32_t units(double nats) const noexcept;       ///< rounded up; not below -2^27
  std::int32_t end() const noexcept { return units(static_cast<double>(words_->end_upper())); }
  /// Difference between the best and the worst finite weight of a word, nats.
  double spread() const noexcept { return spread_; }

  /// Host memory, without the word graph.
  Footprint resident() const noexcept;

 private:
  friend class GraphFolding;

  const WordGraph* words_;
  std::size_t nodes_, tokens_ = 0, states_ = 0;
  double quantum_ = 0x1p-12, spread_ = 0.0;
  std::vector<std::uint16_t> column_;  // [nodes + tokens of the lexicon or the silence]
  std::vector<std::uint32_t> column_begin_, column_token_, token_columns_, root_token_, arc_to_;
  std::vector<kernels::BackwardGroup> groups_;
  std::vector<kernels::BackwardTarget> targets_;
  std::vector<kernels::BackwardArc> arcs_;
  std::vector<kernels::BackwardRepeat> repeats_;
  std::vector<kernels::BackwardRootArc> root_arcs_;
  std::uint32_t silence_ = kernels::BackwardGraph::no_root;
};

}  // namespace mpp::speech

#pragma once
#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

#include <mpp/speech/folded_graph.hpp>

namespace mpp::speech {

/// Fills the arrays of a FoldedGraph.
class GraphFolding {
 public:
  explicit GraphFolding(FoldedGraph& graph);
  void run(std::size_t most_columns);

 private:
  using Node = Lexicon::Node;
  /// An arc of a state, or of the root (`from` is none then).
  struct Arc {
    std::uint32_t token, from, to;
    std::int32_t weight;
  };

  bool enters(Node child) const;      // some word at or below has a finite weight
  float end_weight(Node node) const;  // of the best word that ends there
  void number_roots();
  void fold_nodes();                            // state_of_
  void collect_arcs();                          // arcs_, root_arcs_
  void place_states(std::size_t most_columns);  // columns, and states renumbered by column
  void write_arcs();

  FoldedGraph& out_;
  const WordGraph& words_;
  const Lexicon& lexicon_;
  std::vector<std::uint32_t> state_of_;     // [nodes] or none
  std::vector<std::uint32_t> state_token_;  // [states]
  std::vector<std::uint32_t> root_of_;      // [tokens] number in root_token, or none
  std::vector<Arc> arcs_, root_arcs_;       // `to`: a state, or root_bit and the number of a root
};

}  // namespace mpp::speech

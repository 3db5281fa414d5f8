#pragma once
#include <cstddef>
#include <memory_resource>

#include <mpp/speech/emissions.hpp>
#include <mpp/speech/look_ahead.hpp>

namespace mpp::speech {

/// In the place of LookAhead: only the smear of the word that a hypothesis is in, as a plain beam search orders by. It is
/// no bound of what is still to come.
class PlainLookAhead {
 public:
  static constexpr bool admissible = false;

  /// @throws ShapeError, ValueError as check_emissions()
  PlainLookAhead(const FoldedGraph& graph, const Emissions& emissions, std::pmr::memory_resource*,
                 const LookAheadOptions& = {})
      : graph_(&graph) {
    check_emissions(emissions);
  }
  static Bytes bytes(const FoldedGraph&, std::size_t) { return {}; }
  static Bytes building_bytes(const FoldedGraph&, std::size_t) { return {}; }

  double remaining(std::size_t, WordGraph::Position position) const {
    return static_cast<double>(graph_->smear(position));
  }
  double inside(std::size_t, Token) const { return 0.0; }

 private:
  const FoldedGraph* graph_;
};

}  // namespace mpp::speech

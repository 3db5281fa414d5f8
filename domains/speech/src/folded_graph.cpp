#include <mpp/speech/folded_graph.hpp>

#include <algorithm>
#include <cmath>
#include <limits>

#include <mpp/core/error.hpp>

#include "graph_folding.hpp"

namespace mpp::speech {
namespace {

// Weights are clamped from below: with two of them in a sum no step is beyond kernels::backward_step.
constexpr double least_units = -0x1p27;

}  // namespace

FoldedGraph::FoldedGraph(const WordGraph& graph, std::size_t most_columns)
    : words_(&graph), nodes_(graph.lexicon().nodes()) {
  expects<ValueError>(most_columns >= 1 && most_columns <= 32768, "FoldedGraph: most_columns is ", most_columns,
                      ", expected in [1, 32768]");
  // The largest gain of a step: coarser units where it would not fit.
  const double gain = std::max({0.0, static_cast<double>(graph.end_upper()), static_cast<double>(graph.smear()[0])});
  while (std::ceil(gain / quantum_) > kernels::backward_gain) quantum_ *= 2.0;

  double best = -std::numeric_limits<double>::infinity(), worst = -best;
  for (const float weight : graph.word_upper())
    if (std::isfinite(weight)) {
      best = std::max(best, static_cast<double>(weight));
      worst = std::min(worst, static_cast<double>(weight));
    }
  spread_ = best > worst ? best - worst : 0.0;
  GraphFolding(*this).run(most_columns);
}

std::int32_t FoldedGraph::units(double nats) const noexcept {
  // Dividing by a power of two is exact, and ceil() is too.
  return static_cast<std::int32_t>(std::max(std::ceil(nats / quantum_), least_units));
}

kernels::BackwardGraph FoldedGraph::arrays() const noexcept {
  return {.tokens = tokens_,
          .states = states_,
          .column_begin = column_begin_,
          .column_token = column_token_,
          .root_token = root_token_,
          .groups = groups_,
          .targets = targets_,
          .arcs = arcs_,
          .arc_to = arc_to_,
          .repeats = repeats_,
          .root_arcs = root_arcs_,
          .blank = static_cast<std::uint32_t>(tokens_ - 1),
          .silence = silence_};
}

Footprint FoldedGraph::resident() const noexcept {
  const std::size_t numbers = column_begin_.capacity() + column_token_.capacity() + token_columns_.capacity() +
                              root_token_.capacity() + arc_to_.capacity();
  return Footprint::host(
      Bytes{sizeof(*this)} + bytes_of<std::uint16_t>(column_.capacity()) + bytes_of<std::uint32_t>(numbers) +
      bytes_of<kernels::BackwardGroup>(groups_.capacity()) + bytes_of<kernels::BackwardTarget>(targets_.capacity()) +
      bytes_of<kernels::BackwardArc>(arcs_.capacity()) + bytes_of<kernels::BackwardRepeat>(repeats_.capacity()) +
      bytes_of<kernels::BackwardRootArc>(root_arcs_.capacity()));
}

}  // namespace mpp::speech

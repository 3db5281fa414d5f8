#pragma once
#include <algorithm>
#include <cstdint>
#include <limits>
#include <vector>

#include <mpp/kernels/backward_bound.hpp>

namespace mpp::reference {

/// kernels::backward_bound() in double, arcs all followed: values[t][column], -infinity for what cannot finish. Weights are
/// integers, so sums are exact. `inside`: what ending in a state is worth.
inline std::vector<std::vector<double>> backward_bound(const kernels::BackwardGraph& graph,
                                                       const std::vector<std::int32_t>& loss, std::int32_t last,
                                                       double inside = -std::numeric_limits<double>::infinity()) {
  constexpr double none = -std::numeric_limits<double>::infinity();
  const std::size_t tokens = graph.tokens, frames = loss.size() / tokens, roots = graph.root_token.size();
  std::vector<double> label(graph.states + roots, inside), blank(graph.states, inside);
  std::fill(label.end() - static_cast<std::ptrdiff_t>(roots), label.end(), last);
  double root = last;
  std::vector<std::vector<double>> values(frames + 1, std::vector<double>(graph.width(), none));
  for (std::size_t t = frames + 1; t-- > 0;) {
    if (t < frames) {
      const std::int32_t* e = loss.data() + t * tokens;
      std::vector<double> next_label(label.size(), none), next_blank(blank.size(), none);
      for (std::size_t c = 0; c < graph.columns(); ++c)
        for (std::size_t s = graph.column_begin[c]; s < graph.column_begin[c + 1]; ++s) {
          next_blank[s] = blank[s] + e[graph.blank];
          next_label[s] = std::max(label[s] + e[graph.column_token[c]], next_blank[s]);
        }
      for (std::size_t g = 0; g + 1 < graph.groups.size(); ++g) {
        const std::uint32_t token = graph.groups[g].token;
        const auto arc_of = [&](std::uint32_t target) { return graph.targets[target].arcs; };
        for (std::size_t a = arc_of(graph.groups[g].targets); a < arc_of(graph.groups[g + 1].targets); ++a) {
          const auto [from, weight] = graph.arcs[a];
          const std::uint32_t to = graph.arc_to[a];
          next_blank[from] = std::max(next_blank[from], label[to] + weight + e[token]);
          next_label[from] = std::max(next_label[from], label[to] + weight + e[token]);
        }
        for (std::size_t r = graph.groups[g].repeats; r < graph.groups[g + 1].repeats; ++r) {
          const auto& arc = graph.repeats[r];
          next_blank[arc.from] = std::max(next_blank[arc.from], label[arc.to] + arc.weight + e[token]);
        }
      }
      const auto word_after = [&](std::uint32_t barred) {
        double best = none;
        for (const auto& arc : graph.root_arcs)
          if (arc.token != barred) best = std::max(best, label[arc.to] + arc.weight + e[arc.token]);
        return best;
      };
      double idle = root + e[graph.blank];
      if (graph.silence != kernels::BackwardGraph::no_root)
        idle = std::max(idle, label[graph.states + graph.silence] + e[graph.root_token[graph.silence]]);
      for (std::size_t i = 0; i < roots; ++i)
        next_label[graph.states + i] =
            std::max({label[graph.states + i] + e[graph.root_token[i]], idle, word_after(graph.root_token[i])});
      root = std::max(idle, word_after(kernels::BackwardGraph::no_root));
      label = next_label;
      blank = next_blank;
    }
    for (std::size_t c = 0; c < graph.columns(); ++c)
      for (std::size_t s = graph.column_begin[c]; s < graph.column_begin[c + 1]; ++s)
        values[t][c] = std::max({values[t][c], label[s], blank[s]});
    for (std::size_t i = 0; i < roots; ++i) values[t][graph.columns() + i] = label[graph.states + i];
    values[t].back() = root;
  }
  return values;
}

}  // namespace mpp::reference

#pragma once
#include <algorithm>
#include <cstdint>
#include <random>
#include <tuple>
#include <vector>

#include <mpp/kernels/backward_bound.hpp>

#include "kernels/kernel_test.hpp"

namespace mpp::kernels {

/// The arrays of a BackwardGraph, on the host.
struct HostBackwardGraph {
  std::size_t tokens = 0, states = 0;
  std::vector<std::uint32_t> column_begin{0}, column_token, root_token, arc_to;
  std::vector<BackwardGroup> groups;
  std::vector<BackwardTarget> targets;
  std::vector<BackwardArc> arcs;
  std::vector<BackwardRepeat> repeats;
  std::vector<BackwardRootArc> root_arcs;
  std::uint32_t blank = 0, silence = BackwardGraph::no_root;

  BackwardGraph view() const {
    return {tokens, states, column_begin, column_token, root_token, groups, targets,
            arcs,   arc_to, repeats,      root_arcs,    blank,      silence};
  }
};

/// The same in the memory of a device.
class DeviceBackwardGraph {
 public:
  DeviceBackwardGraph(const Context& context, const HostBackwardGraph& g)
      : host_(g), column_begin_(context, std::span(g.column_begin)), column_token_(context, std::span(g.column_token)),
        root_token_(context, std::span(g.root_token)), groups_(context, std::span(g.groups)),
        targets_(context, std::span(g.targets)), arcs_(context, std::span(g.arcs)),
        arc_to_(context, std::span(g.arc_to)), repeats_(context, std::span(g.repeats)),
        root_arcs_(context, std::span(g.root_arcs)) {}
  BackwardGraph view() const {
    return {host_.tokens,      host_.states,    column_begin_.span(), column_token_.span(), root_token_.span(),
            groups_.span(),    targets_.span(), arcs_.span(),         arc_to_.span(),       repeats_.span(),
            root_arcs_.span(), host_.blank,     host_.silence};
  }

 private:
  const HostBackwardGraph& host_;
  DeviceArray<std::uint32_t> column_begin_, column_token_, root_token_;
  DeviceArray<BackwardGroup> groups_;
  DeviceArray<BackwardTarget> targets_;
  DeviceArray<BackwardArc> arcs_;
  DeviceArray<std::uint32_t> arc_to_;
  DeviceArray<BackwardRepeat> repeats_;
  DeviceArray<BackwardRootArc> root_arcs_;
};

struct BackwardShape {
  std::size_t tokens = 5, columns = 6, most_states = 20, arcs = 100, repeats = 10, roots = 2;
  bool silence = true;
  std::int32_t cost = 1000;  ///< weights are in [-cost, 0]
};

/// Random arcs between random states. Token 0 is the blank; every other token has at least one column and a root.
inline HostBackwardGraph random_backward_graph(const BackwardShape& shape, unsigned seed) {
  std::mt19937_64 random(seed);
  const auto below = [&](std::size_t n) { return static_cast<std::uint32_t>(random() % n); };
  const auto weight = [&] { return -static_cast<std::int32_t>(random() % static_cast<unsigned>(shape.cost + 1)); };
  HostBackwardGraph g;
  std::vector<std::uint32_t> real, column_of, token_of;  // states without the padding
  for (std::size_t c = 0; c < shape.columns; ++c) {
    g.column_token.push_back(1 + static_cast<std::uint32_t>(c % (shape.tokens - 1)));
    const std::size_t n = 1 + random() % shape.most_states;
    for (std::size_t i = 0; i < n; ++i) real.push_back(static_cast<std::uint32_t>(g.states + i));
    g.states += (n + backward_padding - 1) / backward_padding * backward_padding;
    column_of.resize(g.states, static_cast<std::uint32_t>(c));
    token_of.resize(g.states, g.column_token.back());
    g.column_begin.push_back(static_cast<std::uint32_t>(g.states));
  }
  for (std::size_t i = 0; i < shape.roots; ++i) g.root_token.push_back(1 + static_cast<std::uint32_t>(i));
  if (shape.silence && shape.roots > 0) g.silence = 0;
  const auto target = [&](std::uint32_t token) {
    std::vector<std::uint32_t> to;
    for (const std::uint32_t s : real)
      if (token_of[s] == token) to.push_back(s);
    for (std::size_t i = 0; i < g.root_token.size(); ++i)
      if (g.root_token[i] == token) to.push_back(static_cast<std::uint32_t>(g.states + i));
    return to.empty() ? ~0U : to[below(to.size())];
  };
  struct Arc {
    std::uint32_t row, from, to;
    bool repeats;
  };
  g.tokens = shape.tokens;
  const auto columns = static_cast<std::uint32_t>(shape.columns);
  const auto count = [](const auto& all) { return static_cast<std::uint32_t>(all.size()); };
  for (std::uint32_t token = 1; token < shape.tokens; ++token) {
    std::vector<Arc> arcs;
    for (std::size_t a = 0; a < shape.arcs / shape.tokens + shape.repeats; ++a) {
      const bool repeats = a >= shape.arcs / shape.tokens;
      const std::uint32_t from = real[below(real.size())], to = target(token);
      if (to == ~0U || (token_of[from] == token) != repeats) continue;
      arcs.push_back(
          {to < g.states ? column_of[to] : columns + to - static_cast<std::uint32_t>(g.states), from, to, repeats});
    }
    std::ranges::sort(arcs, {}, [](const Arc& a) { return std::tuple(a.row, a.to, a.from); });
    const Arc* before = nullptr;  // of those that are not repeats, in this group
    for (const Arc& arc : arcs) {
      if (g.groups.empty() || g.groups.back().token != token || g.groups.back().row != arc.row) {
        g.groups.push_back({token, arc.row, count(g.targets), count(g.repeats)});
        before = nullptr;
      }
      if (arc.repeats) {
        g.repeats.push_back({arc.from, arc.to, weight(), column_of[arc.from]});
        continue;
      }
      if (before == nullptr || before->to != arc.to) g.targets.push_back({arc.to, count(g.arcs)});
      g.arcs.push_back({arc.from, weight()});
      g.arc_to.push_back(arc.to);
      before = &arc;
    }
  }
  g.groups.push_back({0, 0, count(g.targets), count(g.repeats)});
  g.targets.push_back({0, count(g.arcs)});
  for (std::uint32_t token = 1; token < shape.tokens; ++token)
    if (const std::uint32_t to = target(token); to != ~0U)
      g.root_arcs.push_back({token, to, weight() + shape.cost / 2});
  return g;
}

/// A frame's largest value is 0; a share of the tokens loses little.
inline std::vector<std::int32_t> random_losses(std::size_t frames, std::size_t tokens, std::int32_t cost,
                                               unsigned seed) {
  std::mt19937_64 random(seed);
  std::vector<std::int32_t> loss(frames * tokens);
  for (std::size_t t = 0; t < frames; ++t) {
    for (std::size_t k = 0; k < tokens; ++k)
      loss[t * tokens + k] =
          -static_cast<std::int32_t>(random() % static_cast<unsigned>(random() % 3 == 0 ? 4 : cost + 1));
    loss[t * tokens + random() % tokens] = 0;
  }
  return loss;
}

}  // namespace mpp::kernels

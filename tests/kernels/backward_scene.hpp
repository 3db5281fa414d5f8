#pragma once
#include <algorithm>
#include <cstdint>
#include <random>
#include <vector>

#include <mpp/kernels/backward_bound.hpp>

#include "kernels/kernel_test.hpp"

namespace mpp::kernels {

/// The arrays of a BackwardGraph, on the host.
struct HostBackwardGraph {
  std::size_t states = 0;
  std::vector<std::uint32_t> column_begin{0}, column_token, root_token, token_arcs, token_repeats;
  std::vector<BackwardArc> arcs;
  std::vector<BackwardRepeat> repeats;
  std::vector<BackwardRootArc> root_arcs;
  std::uint32_t blank = 0, silence = BackwardGraph::no_root;

  BackwardGraph view() const {
    return {states,        column_begin, column_token, root_token, token_arcs, arcs,
            token_repeats, repeats,      root_arcs,    blank,      silence};
  }
};

/// The same in the memory of a device.
class DeviceBackwardGraph {
 public:
  DeviceBackwardGraph(const Context& context, const HostBackwardGraph& g)
      : host_(g), column_begin_(context, std::span(g.column_begin)), column_token_(context, std::span(g.column_token)),
        root_token_(context, std::span(g.root_token)), token_arcs_(context, std::span(g.token_arcs)),
        token_repeats_(context, std::span(g.token_repeats)), arcs_(context, std::span(g.arcs)),
        repeats_(context, std::span(g.repeats)), root_arcs_(context, std::span(g.root_arcs)) {}
  BackwardGraph view() const {
    return {host_.states,       column_begin_.span(), column_token_.span(),  root_token_.span(),
            token_arcs_.span(), arcs_.span(),         token_repeats_.span(), repeats_.span(),
            root_arcs_.span(),  host_.blank,          host_.silence};
  }

 private:
  const HostBackwardGraph& host_;
  DeviceArray<std::uint32_t> column_begin_, column_token_, root_token_, token_arcs_, token_repeats_;
  DeviceArray<BackwardArc> arcs_;
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
  for (std::size_t token = 0; token < shape.tokens; ++token) {
    g.token_arcs.push_back(static_cast<std::uint32_t>(g.arcs.size()));
    g.token_repeats.push_back(static_cast<std::uint32_t>(g.repeats.size()));
    for (std::size_t a = 0; token != 0 && a < shape.arcs / shape.tokens; ++a) {
      const std::uint32_t from = real[below(real.size())], to = target(static_cast<std::uint32_t>(token));
      if (to != ~0U && token_of[from] != token) g.arcs.push_back({from, to, weight()});
    }
    for (std::size_t a = 0; token != 0 && a < shape.repeats; ++a) {
      const std::uint32_t from = real[below(real.size())], to = target(static_cast<std::uint32_t>(token));
      if (to != ~0U && token_of[from] == token) g.repeats.push_back({from, to, weight(), column_of[from]});
    }
  }
  g.token_arcs.push_back(static_cast<std::uint32_t>(g.arcs.size()));
  g.token_repeats.push_back(static_cast<std::uint32_t>(g.repeats.size()));
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

#pragma once
#include <mpp/kernels/backward_bound.hpp>

namespace mpp::kernels {

/// Values below the best of a frame by more than this are raised to it. With steps of at most 2^28, two of them in a
/// sum, and gains of at most 2^24, no sum of a frame leaves 32 bits.
inline constexpr std::int32_t backward_lowest = -(1 << 30);

/// Where the rows of one utterance lie in its scratch, each on a multiple of 8 values.
struct BackwardLayout {
  std::size_t label;    ///< [states + roots] best completion of a path whose last token is that of the state; the root
  std::size_t blank;    ///< [states] the same after a blank
  std::size_t leaving;  ///< [states] best arc of the frame
  std::size_t repeat;   ///< [repeats] the same for arcs that need a blank before
  std::size_t row;      ///< [width] largest of each column
  std::size_t root;     ///< [root arcs]
  std::size_t active;   ///< [groups] numbers of those that are followed
  std::size_t size;
};

inline BackwardLayout backward_layout(const BackwardGraph& graph) noexcept {
  const auto padded = [](std::size_t n) { return (n + 7) / 8 * 8; };
  BackwardLayout at{};
  at.blank = at.label + padded(graph.states + graph.root_token.size());
  at.leaving = at.blank + graph.states;
  at.repeat = at.leaving + graph.states;
  at.row = at.repeat + padded(graph.repeats.size());
  at.root = at.row + padded(graph.width());
  at.active = at.root + padded(graph.root_arcs.size());
  at.size = at.active + padded(graph.groups.size());
  return at;
}

}  // namespace mpp::kernels

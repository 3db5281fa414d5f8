#pragma once
#include <cstddef>
#include <cstdint>
#include <span>

#include <mpp/kernels/context.hpp>

namespace mpp::kernels {

/// Arcs that emit the same token and lead into the same column or root. Theirs are the targets from `targets` and the
/// repeats from `repeats` up to those of the next group.
struct BackwardGroup {
  std::uint32_t token, row;  ///< row: number of the column, or columns + i for the root after root_token[i]
  std::uint32_t targets, repeats;
};

/// Where arcs lead, those from `arcs` up to those of the next target, at least one: a state of the group's column, or its root, which is
/// number states + i for root_token[i].
struct BackwardTarget {
  std::uint32_t to, arcs;
};

/// A path in state `from` emits the token of the arc's group, gets `weight`, and is in the arc's target.
struct BackwardArc {
  std::uint32_t from;
  std::int32_t weight;  ///< in [-backward_step, 0]
};

/// An arc for the token that led into `from`: only possible after a blank.
struct BackwardRepeat {
  std::uint32_t from, to;
  std::int32_t weight;   ///< in [-backward_step, 0]
  std::uint32_t column;  ///< of `from`
};

/// A path at the root begins a word.
struct BackwardRootArc {
  std::uint32_t token, to;
  std::int32_t weight;  ///< in [-backward_step, backward_gain]
};

inline constexpr std::int32_t backward_step = 1 << 28;  ///< largest cost of one emission or arc
inline constexpr std::int32_t backward_gain = 1 << 24;  ///< largest gain of one arc of the root
inline constexpr std::int32_t backward_all = 1 << 30;   ///< BackwardOptions::follow: all arcs
inline constexpr std::size_t backward_padding = 8;      ///< states of a column are a multiple of it
inline constexpr std::int16_t backward_dead = -32768;   ///< code of a state that cannot finish any more

/// What CTC paths of words may do, as states with integer weights. Spans point to memory of the device that runs.
///
/// A path of one token per frame is in a state, entered by the token of its column, or at the root. In a state it may
/// repeat that token, emit a blank, and leave by an arc; at the root it may also emit the silence any number of times.
/// States of a column are neighbours, padded to backward_padding with states that no arc mentions.
struct BackwardGraph {
  std::size_t tokens = 0;                       ///< the blank included
  std::size_t states = 0;                       ///< padding included
  std::span<const std::uint32_t> column_begin;  ///< [columns + 1] first state: from 0 to states, never down
  std::span<const std::uint32_t> column_token;  ///< [columns]
  std::span<const std::uint32_t> root_token;    ///< [roots] distinct: after which tokens a path can be at the root
  std::span<const BackwardGroup> groups;        ///< and one more, whose targets and repeats are the numbers of all
  std::span<const BackwardTarget> targets;      ///< and one more, whose arcs are the number of all
  std::span<const BackwardArc> arcs;
  std::span<const std::uint32_t> arc_to;  ///< [arcs] their targets once more, for those who take arcs in any order
  std::span<const BackwardRepeat> repeats;
  std::span<const BackwardRootArc> root_arcs;
  std::uint32_t blank = 0;
  std::uint32_t silence = no_root;  ///< number of the silence in root_token, or no_root

  static constexpr std::uint32_t no_root = 0xFFFFFFFF;
  std::size_t columns() const noexcept { return column_token.size(); }
  /// Codes of a frame: the columns, the root after each of root_token, the root with nothing before.
  std::size_t width() const noexcept { return columns() + root_token.size() + 1; }
};

struct BackwardOptions {
  std::int32_t last = 0;  ///< weight of ending at the root after the last frame, in [-backward_step, backward_gain]
  /// In [0, backward_all]: arcs that lead to more than this below the best of the frame share one bound.
  std::int32_t follow = 0;
  std::uint32_t shift = 0;  ///< codes count 2^shift, in [0, 30]
  bool open_end = false;    ///< a path may also be in any state after the last frame, for nothing: more frames follow
};

/// int32 values of scratch that each utterance takes.
[[nodiscard]] std::size_t backward_scratch(const BackwardGraph& graph) noexcept;

/// Upper bounds of what the frames from t on can still add, for utterances of frame_begin[u + 1] - frame_begin[u] frames:
///
///     offset[row] + 2^shift code[row][column]  >=  weight of the best completion from any state of the column,
///
/// before and after a blank; row = frame_begin[u] + u + t, t in [0, frames]. Backward dynamic programming in integers:
/// nothing rounds but the codes, which round up, and sums below -2^30 under the best of their frame, which are raised to
/// it. So the results are the same on all devices, bit for bit. With follow = backward_all it is tight: the maximum over
/// the column. Arcs to a state that, with the loss of their token, is more than `follow` below the best state count as if
/// they led there from anywhere for nothing: admissible, because arcs cost something or nothing.
///
/// @param loss         [frames of all utterances, tokens] emissions minus the largest of the frame, in [-backward_step, 0]
/// @param frame_begin  [utterances + 1] ascending from 0 to all frames
/// @param scratch      [utterances * backward_scratch(graph)], on CUDA aligned to 16 bytes
/// @param code         [frames + utterances, graph.width()]; at most 0, at least -32767; backward_dead for the states
///                     when no frame is left, unless the end is open
/// @param offset       [frames + utterances]
/// One thread block per utterance on CUDA: give it many.
/// @throws ShapeError, ValueError naming what does not fit: sizes, options, where columns, targets, arcs, repeats and
///         utterances begin, tokens and rows of groups, targets (on CUDA these are copied to the host first, which waits
///         for the stream). Not looked at: arcs, repeats, arc_to and losses.
void backward_bound(const Context& context, const BackwardGraph& graph, std::span<const std::int32_t> loss,
                    std::span<const std::uint32_t> frame_begin, const BackwardOptions& options,
                    std::span<std::int32_t> scratch, std::span<std::int16_t> code, std::span<std::int64_t> offset);

}  // namespace mpp::kernels

#pragma once
// What one search works with. A "group" is whoever runs it, one thread or a block of them:
//
//   group.each(n, f)         f(0) ... f(n - 1) in any order; before and after it everybody has seen everything
//   group.total(n, f)        the same, and the sum of what f returns, as an integer
//   group.claim(counter)     inside them: takes the next number of a counter
//   group.raise(value, to)   inside them: value = max(value, to)
//
// Between two of them all members do the same. What they do in any order is written so that the order cannot be seen:
// sums are of integers, and places are given by rank, not by who came first.
#include "src/ctc/arithmetic.hpp"

namespace mpp::kernels::ctc {

/// One utterance in one call, for the back ends.
struct Work {
  const float* log_probs;
  const CtcBound* after;  // null: nothing is charged
  CtcHypothesis* live;
  CtcNode* nodes;
  CtcCharges* charges;
  double* probability;   // [tokens]
  std::uint64_t* keys;   // [cap, tokens]
  std::uint32_t* child;  // [cap, tokens]
  std::uint32_t frames, tokens, blank, cap, capacity;
  std::int32_t unit;
  std::uint32_t refused;  // the first frame that is not a distribution, none if all are
  CtcProgress progress;
};

Work work_of(const CtcUtterance& utterance, const CtcProgress& progress, std::size_t tokens, std::size_t blank);

/// A live hypothesis during a frame.
struct Slot {
  CtcHypothesis now;
  float blank_next, label_next;  // if it stays the same prefix
  std::uint32_t label;           // its last one, or none
  std::uint32_t parent;          // slot of its parent prefix, if that is live
  std::uint32_t rank;            // of its node among those of the live
  std::uint32_t dropped;         // bits of the largest mass of an extension that this frame dropped
  float below_before;            // charged below its node before this frame
};

inline constexpr std::uint32_t digit_bits = 6;
inline constexpr std::uint32_t digits = 1U << digit_bits;

/// Everything that the members of a group share beside the arena and the scratch: shared memory of a block.
template <std::uint32_t slots>
struct Board {
  Slot slot[slots];
  CtcHypothesis next[slots];
  std::uint64_t chosen[slots], best[slots];  // keys: in any order, then best first
  std::uint32_t by_rank[slots];              // slot of that rank
  std::uint32_t place[slots];                // where the r-th best goes, none if the arena has no room for it
  std::uint32_t node[slots];                 // its node
  std::uint32_t histogram[digits];
  std::uint32_t digit, above, within;  // what the histogram says
  std::uint32_t count;                 // of `chosen`
  std::uint32_t exponent;              // exponent_bits() of the largest mass
  CtcProgress progress;
};

}  // namespace mpp::kernels::ctc

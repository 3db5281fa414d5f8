#pragma once
#include <memory_resource>
#include <span>
#include <vector>

#include <mpp/core/control/bound.hpp>

#include "mpp/llm/dithered_page.hpp"
#include "mpp/llm/independent_tokens.hpp"

namespace mpp::llm {

/// One page of one KV head. Keys and values have dithers of their own. The caller keeps them alive.
struct DitheredKv {
  const DitheredPage* keys = nullptr;
  const DitheredPage* values = nullptr;
  DitherLevel key_level = DitherLevel::bits8;
  DitherLevel value_level = DitherLevel::bits8;
};

/// One query of one head over pages and an exact tail.
struct DitheredRead {
  std::size_t position = 0;            ///< of the token that the query belongs to
  std::span<const float> query;        ///< [head_dim], finite; made without the dither of these pages
  double scale = 1.0;                  ///< of the logits, finite and positive
  std::span<const DitheredKv> pages;   ///< may be empty if there is a tail
  std::span<const float> tail_keys;    ///< [tokens][head_dim], exact: the open page
  std::span<const float> tail_values;  ///< the same shape
};

/// Both bounds are ErrorBound::randomized and hold together: the probability that one of them fails is at most delta.
struct DitheredOutcome {
  std::pmr::vector<double> output;  ///< [head_dim]: sum p~_i v~_i
  ErrorBound attention_tv;          ///< total variation between the exact softmax and that of the logits as computed
  ErrorBound output_error;  ///< |exact output - output|, in the unit of the values; infinity where it says nothing
};

/// The randomized certificate of an attention read over pages with subtractive dither.
///
/// The error of a logit is a sum of independent uniform errors of known size, and so of the order of the root of head_dim, not of
/// head_dim; errors of different tokens are independent and average out. The probability is over the dither, for a query
/// and pages that do not depend on it: therefore the licence. Each read, and each level of a read that is looked at, spends delta;
/// add them up (Delta has a + for it) over what must hold together. The hash is taken for a random function.
///
/// A reference in double, over 64-bit hashes: not a fast kernel.
/// Proofs: docs/llm_dither.md. Tested by: tests/domains/llm/dithered_attention_test.cpp
class DitheredAttention {
 public:
  /// @param delta  per read, in (0, 1)
  /// @throws ValueError
  DitheredAttention(IndependentTokens tokens, Delta delta);

  /// @throws ShapeError, naming the page; ValueError for a position that the licence does not cover, numbers that are not finite,
  ///         and two matrices of the read with the same dither
  [[nodiscard]] DitheredOutcome read(const DitheredRead& read,
                                     std::pmr::memory_resource* memory = std::pmr::get_default_resource()) const;

 private:
  IndependentTokens tokens_;
  Delta delta_;
};

}  // namespace mpp::llm

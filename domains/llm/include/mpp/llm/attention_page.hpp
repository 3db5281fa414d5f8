#pragma once
#include <cstddef>
#include <limits>
#include <span>

namespace mpp::llm {

inline constexpr double infinity = std::numeric_limits<double>::infinity();

/// What one read (one query of one head) knows of a page of tokens that it has read in compressed form.
///
/// Token i has the exact logit s_i and value v_i; the compressed page gives s~_i and v~_i. p~ is the softmax of the s~_i over
/// all pages read.
struct AttentionPage {
  double mass = 0.0;      ///< sum of p~_i over the page, >= 0; over all pages 1
  double radius = 0.0;    ///< |s_i - s~_i| <= radius for every token, s~_i as computed; +infinity: unknown
  double energy = 0.0;    ///< sum of p~_i |v_i|^2 over the page, >= 0, of the exact values
  double residual = 0.0;  ///< |v_i - v~_i| <= residual for every token; +infinity: unknown

  // All tokens of the page together. +infinity: unknown, and then each may be off by all of radius, or residual.
  double spread = infinity;        ///< root of the sum of (s_i - s~_i)^2 <= spread
  double value_spread = infinity;  ///< |sum a_i (v_i - v~_i)| <= value_spread for all a with sum a_i^2 <= 1
  double heaviest = infinity;      ///< no p~_i is above it
};

/// A page that the read left out. Only bounds of what it would have contributed are known.
struct OmittedPage {
  std::size_t tokens = 0;
  double logit = 0.0;       ///< s_i <= logit for every token; -infinity: no weight; +infinity: unknown
  double value_norm = 0.0;  ///< |v_i| <= value_norm for every token, finite
};

/// |computed - true| <= relative * true + absolute, for a true number >= 0. relative in [0, 1).
struct Rounding {
  double relative = 0.0;
  double absolute = 0.0;  ///< what is flushed to zero or lost below the smallest normal number
};

/// Error of the arithmetic of the kernel that really ran, its exponentials included. All zero: the numbers are exact.
struct AttentionRounding {
  Rounding mass;             ///< of each AttentionPage::mass
  Rounding energy;           ///< of each AttentionPage::energy
  double log_sum_exp = 0.0;  ///< |log_sum_exp - ln(sum of e^{s~_i})|
  double output = 0.0;       ///< |output - sum p~_i v~_i|, in the unit of the values
};

/// One read. Views; the caller keeps the pages alive.
struct AttentionRead {
  std::span<const AttentionPage> pages;  ///< shape [pages], at least one
  std::span<const OmittedPage> omitted;  ///< shape [omitted], may be empty
  double log_sum_exp = 0.0;              ///< of the pages read, as computed; only used with omitted pages
  double output_norm = 0.0;              ///< norm of the output as computed; output bound only
  AttentionRounding rounding;
};

}  // namespace mpp::llm

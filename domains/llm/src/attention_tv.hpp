#pragma once
#include "page_terms.hpp"

namespace mpp::llm {

/// Sums over the pages that the closed forms of the total variation need. Rounded up, `kept` down.
struct TvSums {
  double largest_radius = 0.0;
  double largest_rise = 0.0;  ///< e^c - 1 of the largest radius
  double rise = 0.0;          ///< sum m (e^c - 1)
  double root_spread = 0.0;   ///< sum m (e^{c/2} - 1)^2
  double root_kept = 0.0;     ///< sum m e^{-c/2}, rounded down
  double kept = 0.0;          ///< sum m e^{-c}, rounded down

  explicit TvSums(const AttentionRead& read) noexcept;
  /// Total variation over the pages read alone.
  double closed_form() const noexcept;
};

/// Adds the omitted share to the total variation over the pages read: tv + share (1 - tv), rounded up, at most 1.
double with_omitted(double tv, double share) noexcept;

}  // namespace mpp::llm

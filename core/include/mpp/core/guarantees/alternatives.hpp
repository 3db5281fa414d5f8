#pragma once
#include <array>
#include <cstddef>

#include <mpp/core/control/bound.hpp>

namespace mpp::guarantees {

/// The violation rates that an audit looks for, as multiples m of the allowed odds: rate q with
/// q / (1 - q) = m a / (1 - a), a the allowed rate. Fixed in advance, all with the same weight, so that the weights add up
/// to exactly 1. Between 2 and 3 they are close, because a doubling is what has to be found early.
inline constexpr std::array<double, 8> odds_ratios{1.25, 1.5, 2.0, 2.5, 3.0, 4.0, 6.0, 12.0};
inline constexpr std::size_t alternative_count = odds_ratios.size();
inline constexpr double alternative_weight = 1.0 / alternative_count;
static_assert(alternative_weight * alternative_count == 1.0, "weights above 1 in sum would overstate the evidence");

/// One number per alternative.
using PerAlternative = std::array<double, alternative_count>;

/// Smallest allowed rate: below it a bet would be lost in the rounding of 1 + (m - 1) a.
inline constexpr double min_allowed_rate = 1e-12;

}  // namespace mpp::guarantees

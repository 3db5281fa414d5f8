#pragma once
#include <array>
#include <cmath>
#include <cstddef>

#include <mpp/core/control/bound.hpp>

namespace mpp::guarantees {

/// The violation rates that an audit looks for, as multiples m of the allowed odds: rate q with
/// q / (1 - q) = m a / (1 - a), a the allowed rate. Fixed in advance, each with the same weight, so that the weights
/// add up to exactly 1. Between 2 and 3 they are close, because a doubling is what has to be found early.
inline constexpr std::array<double, 8> odds_ratios{1.25, 1.5, 2.0, 2.5, 3.0, 4.0, 6.0, 12.0};
inline constexpr std::size_t alternatives = odds_ratios.size();
inline constexpr double weight = 1.0 / alternatives;
static_assert(weight * alternatives == 1.0, "weights above 1 in sum would overstate the evidence");

/// One number per alternative.
using PerAlternative = std::array<double, alternatives>;

/// Smallest allowed rate: below it a bet would be lost in the rounding of 1 + (m - 1) a.
inline constexpr double min_allowed_rate = 1e-12;

/// @throws ValueError naming `operation` unless `allowed` is in [min_allowed_rate, 1)
void check_allowed(const char* operation, Delta allowed);
/// @throws ValueError naming `operation` unless `loss` is in [0, 1]; NaN is not
void check_loss(const char* operation, double loss);

// Lower, or higher, by `units` times 2^-52 of x. One unit moves x past its neighbour, and makes up for two roundings
// (2^-53 of the result each) that went into x, its own included.
[[nodiscard]] inline double below(double x, double units = 1.0) { return x - std::abs(x) * (units * 0x1p-52); }
[[nodiscard]] inline double above(double x, double units = 1.0) { return x + std::abs(x) * (units * 0x1p-52); }

}  // namespace mpp::guarantees

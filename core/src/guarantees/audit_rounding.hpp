#pragma once
#include <cmath>

#include <mpp/core/error.hpp>
#include <mpp/core/guarantees/alternatives.hpp>

#include "src/guarantees/check.hpp"

namespace mpp::guarantees {

// Lower, or higher, by `units` times 2^-52 of x. One unit moves x past its neighbour; it makes up for two roundings
// (2^-53 of the result each) that went into x, its own included.
[[nodiscard]] inline double below(double x, double units = 1.0) { return x - std::abs(x) * (units * 0x1p-52); }
[[nodiscard]] inline double above(double x, double units = 1.0) { return x + std::abs(x) * (units * 0x1p-52); }

// Both are asked before a detector moves, and what it computes is only known to be low if it rounds to nearest.
inline void check_allowed(const char* operation, Delta allowed) {
  check_rounding(operation);
  expects<ValueError>(allowed.value >= min_allowed_rate && allowed.value < 1.0, operation, ": the allowed rate is ",
                      allowed.value, ", expected in [", min_allowed_rate, ", 1)");
}

// NaN is not in [0, 1] either.
inline void check_loss(const char* operation, double loss) {
  check_rounding(operation);
  expects<ValueError>(loss >= 0.0 && loss <= 1.0, operation, ": the loss is ", loss, ", expected in [0, 1]");
}

}  // namespace mpp::guarantees

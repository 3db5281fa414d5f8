#pragma once
#include <algorithm>
#include <bit>
#include <cstdint>
#include <limits>

namespace mpp::guarantees {

/// Whether x is 0, by its bits: a thread whose subnormal numbers are zeros compares them equal to it.
[[nodiscard]] inline bool is_zero(double x) noexcept { return (std::bit_cast<std::uint64_t>(x) << 1) == 0; }

/// x >= 0, and the smallest normal number for all between it and 0: what arithmetic that flushes does not lose.
[[nodiscard]] inline double at_least_normal(double x) noexcept {
  return is_zero(x) ? 0.0 : std::max(x, std::numeric_limits<double>::min());
}

}  // namespace mpp::guarantees

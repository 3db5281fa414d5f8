#pragma once
#include <cstdint>

#include <mpp/kernels/kv_page.hpp>

// The arithmetic of a page of codes, the same on all devices to the bit: plain double without contraction.
namespace mpp::kernels {

inline constexpr int fine_codes = 1 << 12;  // of a channel at the finest level
inline constexpr double half_range_end = 65504.0;

/// Code of a number that lies `cell` = (x - zero) / fine step >= 0 above the zero. Exact for float16: x, zero and step are
/// multiples of 2^-28, the step below 2^5, so that a quotient that is no integer is 2^-33 away from any, and its rounding
/// error is 2^-41. For bfloat16 x - zero is rounded, and x may lie outside of its cell by 2^-40 steps.
constexpr int fine_code(double cell) noexcept {
  return cell < fine_codes - 1 ? static_cast<int>(cell) : fine_codes - 1;
}

/// Middle of the cell of a fine code at the level with `dropped` bits less, in fine steps.
constexpr double cell_middle(int code, int dropped) noexcept {
  return static_cast<double>(code >> dropped << dropped) + 0.5 * static_cast<double>(1 << dropped);
}

/// Sums and roots of double precision that end up in a PageSummary are inflated by this before they are rounded up to
/// float: 256 additions, each relatively wrong by 2^-53, a root, and codes of bfloat16 numbers 2^-40 steps off.
inline constexpr double summary_slack = 1.0 + 0x1p-36;

/// Residuals of keys in steps are off by 2^-40, in 64 tokens and 256 channels.
inline constexpr double spread_floor = 0x1p-33;

/// Position of a code in the 32-bit words of a plane: see KvPage.
constexpr int nibble_shift(std::size_t row) noexcept { return static_cast<int>(row % 8 / 2 * 4 + row % 2 * 16); }

}  // namespace mpp::kernels

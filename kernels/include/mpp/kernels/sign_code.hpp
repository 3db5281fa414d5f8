#pragma once
#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include <mpp/kernels/half.hpp>

namespace mpp::kernels {

/// The nested code of one row y of `dims` values: 8 sign slices s_0, s_1, ... s_7, each a vector of +1 and -1.
///
/// After b slices the row is approximated by scale_b * v_b with the odd integers v_b = sum_t 2^(b-1-t) s_t, so
/// v_(b+1) = 2 v_b + s_b: a finer code extends a coarser one, and an integer dot product is extended the same way.
/// The slices are grouped into planes of 1, 1, 2 and 4; each plane has its own factors.
inline constexpr std::size_t slices = 8;
inline constexpr std::size_t planes = 4;
inline constexpr std::array<std::size_t, planes> plane_slices{1, 1, 2, 4};
inline constexpr std::array<std::size_t, planes> plane_end{1, 2, 4, 8};  ///< slices up to and with the plane

/// Factors of one row after one plane, in units of 2^unit_exponent of the pool (see quantize_nested).
///
/// With a* the least-squares scale <y, v> / <v, v>:  |a* - scale| <= 2^-11 scale,  ||y - a* v|| <= residual,
/// ||v|| <= norm. A row that Half cannot hold has scale 0 and residual infinity (or 0 when y = 0): it is never
/// excluded, only expensive.
struct PlaneFactors {
  Half scale, residual, norm;
};

/// One bit per coordinate; bit j % 8 of byte j / 8 is 1 for +1. Rows are `dims / 8` bytes, so dims % 8 == 0.
///
/// Layout "rows":   [rows][slices of the plane][dims / 8], one plane of one row contiguous.
/// Layout "blocks": [ceil(rows / 64)][dims / 8][64], byte g of 64 rows contiguous; for planes of one slice that are
///                  read for all rows. The last block is padded with rows of zero bytes.
inline constexpr std::size_t block_rows = 64;

constexpr std::size_t plane_row_bytes(std::size_t plane, std::size_t dims) noexcept {
  return plane_slices[plane] * dims / 8;
}
constexpr std::size_t blocks_of(std::size_t rows) noexcept { return (rows + block_rows - 1) / block_rows; }
constexpr std::size_t blocked_bytes(std::size_t rows, std::size_t dims) noexcept {
  return blocks_of(rows) * block_rows * dims / 8;
}

}  // namespace mpp::kernels

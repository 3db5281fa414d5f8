#pragma once
#include <cstdint>
#include <span>

#include <mpp/kernels/context.hpp>
#include <mpp/kernels/sign_code.hpp>

namespace mpp::kernels {

/// Bytes of the look-up tables of one query: 16 entries for each 4 coordinates.
constexpr std::size_t screen_table_bytes(std::size_t dims) noexcept { return dims / 4 * 16; }

/// table[g][pattern] = 127 + sum_{b < 4} (pattern bit b ? +1 : -1) * code[4 g + b]. Fits a byte for a query on
/// coarse_grid. Runs on the host. @throws ShapeError; ValueError if a group sum is above 127
void make_screen_table(std::span<const std::int16_t> code, std::span<std::uint8_t> table);

/// One query of a screen and where its dot products go.
struct ScreenQuery {
  std::span<const std::uint8_t> table;  ///< screen_table_bytes(dims)
  std::span<std::int16_t> dots;         ///< [blocks * 64]; padding rows get the value of an all -1 row
};

/// Exact integer dot products of sign rows with integer queries: dots[i] = sum_j s_ij code_j for each query.
///
/// @param blocks   layout "blocks"
/// @param queries  host array of views of memory of `context.device`
/// All devices give identical integers. Each block of codes is read once for all queries.
/// Source: register look-up of 4-bit groups as in Andre et al. 2015 (PQ Fast Scan), here exact.
void screen(const Context& context, std::span<const std::uint8_t> blocks, std::size_t dims,
            std::span<const ScreenQuery> queries);

/// One query of refine_blocks().
struct RefineQuery {
  std::span<const std::uint8_t> table;  ///< screen_table_bytes(dims)
  std::span<std::int16_t> dots;         ///< [blocks * 64], extended in place
  std::span<const std::uint64_t> open;  ///< [blocks]; a block without an open row keeps its dot products
};

/// Extends dot products by one slice in the blocks where a query has open rows: dots[i] = 2 dots[i] + s_i . code for
/// all rows of such a block. Blocks without open rows are not read. Exact: coarse_grid keeps the sums of two slices in
/// 16 bits.
///
/// @param blocks   layout "blocks"
/// @param queries  host array of views of memory of `context.device`
void refine_blocks(const Context& context, std::span<const std::uint8_t> blocks, std::size_t dims,
                   std::span<const RefineQuery> queries);

/// Extends the integer dot product of each row by the slices of one more plane: dots[i] = 2 dots[i] + s_i . code,
/// once per slice.
///
/// @param rows   [n][slices of the plane][dims / 8], layout "rows"
/// @param code   [dims], on coarse_grid or fine_grid, in memory of `context.device`
/// @param dots   [n]
void refine_dots(const Context& context, std::span<const std::uint8_t> rows, std::size_t plane_slice_count,
                 std::span<const std::int16_t> code, std::span<std::int32_t> dots);

}  // namespace mpp::kernels

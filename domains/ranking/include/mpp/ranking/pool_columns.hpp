#pragma once
#include <array>
#include <cstdint>

#include <mpp/kernels/rescore.hpp>
#include <mpp/kernels/sign_code.hpp>
#include <mpp/ranking/column.hpp>

namespace mpp::ranking {

using kernels::Metric;

/// Everything a pool keeps, as plain arrays: what is built, saved, mapped and read by the tier.
///
/// Rows are coded around the centre of their cell. A cell's rows fill whole blocks of 64 slots, so one offset serves a
/// block; a slot without a row is never live. With x the row (unit length for cosine), c the centre of its cell and R
/// the rotation, the coded vector is y = 2^-unit_exponent R (x - c), padded with zeros to coded_dims.
struct PoolColumns {
  Metric metric = Metric::inner_product;
  std::uint32_t dims = 0;
  std::uint32_t coded_dims = 0;    ///< dims rounded up to a multiple of 8
  std::int32_t unit_exponent = 0;  ///< the largest ||y|| of the build is in [2^13, 2^14]
  std::uint64_t next_id = 0;       ///< id of the next row that is added
  std::uint64_t tail_rows = 0;     ///< rows in the blocks at the end that add() fills
  double largest_centered = 0.0;   ///< up: max ||x - c|| over every row ever held
  double largest_row = 0.0;        ///< up: max ||x||
  double largest_bias = 0.0;       ///< up: max |bias|

  Column<float> rotation;            ///< packed reflectors, [coded_dims (coded_dims + 1) / 2]: docs/pool_format.md
  Column<float> centers;             ///< [cells, dims]
  Column<std::uint32_t> block_cell;  ///< [blocks]

  // Resident: read for every request.
  Column<std::uint8_t> sign_blocks;       ///< plane 0, layout "blocks"
  Column<kernels::Half> scale, residual;  ///< [slots], factors of plane 0
  Column<float> bias;          ///< [slots] for l2: -(c.(x-c) + ||x-c||^2 / 2) 2^(-2 unit_exponent); else empty
  Column<std::uint64_t> live;  ///< [blocks], bit i of word b: slot 64 b + i holds a row

  // Backing: read for the rows that a request has not excluded yet.
  Column<std::uint32_t> ids;                                           ///< [slots]
  std::array<Column<std::uint8_t>, kernels::planes> codes;             ///< [slots][plane bytes]; codes[0] is empty
  std::array<Column<kernels::PlaneFactors>, kernels::planes> factors;  ///< [slots]; factors[0] is empty
  Column<float> rows;                                                  ///< [slots, dims], as given

  [[nodiscard]] std::size_t slots() const noexcept { return ids.size(); }
  [[nodiscard]] std::size_t blocks() const noexcept { return live.size(); }
};

}  // namespace mpp::ranking

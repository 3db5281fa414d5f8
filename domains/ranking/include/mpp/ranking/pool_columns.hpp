#pragma once
#include <array>
#include <cstdint>

#include <mpp/kernels/rescore.hpp>
#include <mpp/kernels/sign_code.hpp>
#include <mpp/ranking/column.hpp>

namespace mpp::ranking {

using kernels::Metric;

/// The first planes are screened for whole blocks of 64 rows, the others refine single rows.
inline constexpr std::size_t block_planes = 2;

/// A plane of one slice in layout "blocks".
struct BlockPlane {
  Column<std::uint8_t> signs;                   ///< [blocks][coded_dims / 8][64]
  Column<kernels::Half> scale, residual, norm;  ///< [slots]; norm is empty for plane 0: it is sqrt(coded_dims) there
  Column<float> top_scale, top_residual;        ///< [blocks] for plane 0: the largest of a block; not in files
};

/// A plane in layout "rows".
struct RowPlane {
  Column<std::uint8_t> codes;             ///< [slots][plane_row_bytes]
  Column<kernels::PlaneFactors> factors;  ///< [slots]
};

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

  /// Plane 0 is resident: read for every request. Plane 1 is backing: read where blocks hold open rows.
  std::array<BlockPlane, block_planes> block_plane;
  Column<float> bias;          ///< [slots] for l2: -(c.(x-c) + ||x-c||^2 / 2) 2^(-2 unit_exponent); else empty
  Column<std::uint64_t> live;  ///< [blocks], bit i of word b: slot 64 b + i holds a row

  // Backing: read for the rows that a request has not excluded yet.
  Column<std::uint32_t> ids;                                       ///< [slots]
  std::array<RowPlane, kernels::planes - block_planes> row_plane;  ///< planes 2 and 3
  Column<float> rows;                                              ///< [slots, dims], as given

  [[nodiscard]] std::size_t slots() const noexcept { return ids.size(); }
  [[nodiscard]] std::size_t blocks() const noexcept { return live.size(); }
};

}  // namespace mpp::ranking

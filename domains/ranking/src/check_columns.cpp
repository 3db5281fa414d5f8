#include "src/check_columns.hpp"

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>
#include <string_view>
#include <vector>

#include "src/rotation.hpp"

namespace mpp::ranking {
namespace {

using kernels::block_rows;
using kernels::Half;
using kernels::plane_row_bytes;
using kernels::planes;

constexpr std::uint64_t most_dims = 32768;                    // as in quantize_nested()
constexpr std::uint64_t most_slots = std::uint64_t{1} << 32;  // slots and ids are 32-bit numbers
constexpr int largest_exponent = 511;                         // 2^(-2 unit_exponent) stays a normal double
constexpr std::uint16_t half_infinity = 0x7C00;               // the bits of finite values >= 0 are below it

void check_range(std::string_view field, std::int64_t value, std::int64_t least, std::int64_t most) {
  expects<FormatError>(least <= value && value <= most, field, " is ", value, ", expected in [", least, ", ", most,
                       "]");
}

void check_bound(std::string_view field, double value) {
  expects<FormatError>(std::isfinite(value) && value >= 0.0, field, " is ", value, ", expected finite and >= 0");
}

void check_scalars(const PoolColumns& c) {
  expects<FormatError>(c.metric <= Metric::l2, "metric is ", static_cast<int>(c.metric), ", expected 0, 1 or 2");
  check_range("dims", c.dims, 1, most_dims);
  const std::uint32_t coded = (c.dims + 7) / 8 * 8;
  expects<FormatError>(c.coded_dims == coded, "coded_dims is ", c.coded_dims, ", expected ", coded, " for dims ",
                       c.dims);
  check_range("unit_exponent", c.unit_exponent, -largest_exponent, largest_exponent);
  check_bound("largest_centered", c.largest_centered);
  check_bound("largest_row", c.largest_row);
  check_bound("largest_bias", c.largest_bias);
}

template <class T>
void check_size(std::string_view field, const Column<T>& column, std::uint64_t expected) {
  expects<FormatError>(column.size() == expected, field, " has ", column.size(), " elements, expected ", expected);
}

// No product overflows: slots are below 2^32 and dims below 2^16.
void check_sizes(const PoolColumns& c) {
  const std::uint64_t slots = c.slots();
  expects<FormatError>(slots % block_rows == 0 && slots <= most_slots, "ids has ", slots,
                       " elements, expected a multiple of ", block_rows, " up to ", most_slots);
  check_size("rotation", c.rotation, rotation_floats(c.coded_dims));
  expects<FormatError>(c.centers.size() > 0 && c.centers.size() % c.dims == 0, "centers has ", c.centers.size(),
                       " elements, expected a positive multiple of dims = ", c.dims);
  check_size("live", c.live, slots / block_rows);
  check_size("block_cell", c.block_cell, slots / block_rows);
  check_size("bias", c.bias, c.metric == Metric::l2 ? slots : 0);
  for (std::size_t p = 0; p < block_planes; ++p) {
    const BlockPlane& plane = c.block_plane[p];
    check_size(text("signs[", p, "]"), plane.signs, slots * c.coded_dims / 8);
    check_size(text("scale[", p, "]"), plane.scale, slots);
    check_size(text("residual[", p, "]"), plane.residual, slots);
    check_size(text("norm[", p, "]"), plane.norm, p == 0 ? 0 : slots);
    if (p == 0) continue;  // its tops are found anew
    check_size(text("top_scale[", p, "]"), plane.top_scale, 0);
    check_size(text("top_residual[", p, "]"), plane.top_residual, 0);
  }
  for (std::size_t p = block_planes; p < planes; ++p) {
    const RowPlane& plane = c.row_plane[p - block_planes];
    check_size(text("codes[", p, "]"), plane.codes, slots * plane_row_bytes(p, c.coded_dims));
    check_size(text("factors[", p, "]"), plane.factors, slots);
  }
  check_size("rows", c.rows, slots * c.dims);
  expects<FormatError>(c.tail_rows <= slots, "tail_rows is ", c.tail_rows, ", expected at most slots = ", slots);
  // Every row ever held took a slot, and slots are not taken twice.
  expects<FormatError>(c.next_id <= slots, "next_id is ", c.next_id, ", expected at most slots = ", slots);
}

void check_finite(std::string_view field, const Column<float>& column) {
  const auto values = column.view();
  const auto bad = std::ranges::find_if_not(values, [](float x) { return std::isfinite(x); });
  expects<FormatError>(bad == values.end(), field, "[", bad - values.begin(), "] is not finite");
}

// Finite tails are enough for an orthogonal rotation: in double neither their squares nor sums of them overflow.
void check_signs(const PoolColumns& c) {
  for (std::size_t k = 0; k < c.coded_dims; ++k) {
    const std::size_t at = reflector_start(c.coded_dims, k);
    expects<FormatError>(std::fabs(c.rotation[at]) == 1.0F, "rotation[", at, "] is ", c.rotation[at],
                         ", expected 1 or -1, the sign of reflector ", k);
  }
}

void check_cells(const PoolColumns& c) {
  const std::uint64_t cells = c.centers.size() / c.dims;
  for (std::size_t b = 0; b < c.blocks(); ++b)
    expects<FormatError>(c.block_cell[b] < cells, "block_cell[", b, "] is ", c.block_cell[b],
                         ", expected below the number of cells = ", cells);
}

// add() fills the blocks at the end one slot after the other: a row beyond tail_rows would be overwritten.
void check_tail(const PoolColumns& c) {
  const std::uint64_t filled = c.tail_rows % block_rows;
  if (filled == 0) return;
  const std::uint64_t beyond = c.live[c.blocks() - 1] >> filled;
  expects<FormatError>(beyond == 0, "live has rows in the last block behind tail_rows = ", c.tail_rows);
}

template <class Visit>
void for_each_live(const PoolColumns& c, Visit visit) {
  for (std::size_t b = 0; b < c.blocks(); ++b)
    for (std::uint64_t word = c.live[b]; word != 0; word &= word - 1)
      visit(b * block_rows + static_cast<std::size_t>(std::countr_zero(word)));
}

void check_live_slots(const PoolColumns& c) {
  const float most_bias = std::nextafter(static_cast<float>(c.largest_bias), std::numeric_limits<float>::infinity());
  const BlockPlane& signs = c.block_plane[0];
  std::vector<bool> taken(c.next_id);
  for_each_live(c, [&](std::size_t slot) {
    const std::uint32_t id = c.ids[slot];
    expects<FormatError>(id < c.next_id, "ids[", slot, "] is ", id, ", expected below next_id = ", c.next_id);
    expects<FormatError>(!taken[id], "ids[", slot, "] is ", id, ", which another row has");
    taken[id] = true;
    expects<FormatError>(signs.scale[slot].bits < half_infinity, "scale[0][", slot, "] is not finite and >= 0");
    expects<FormatError>(signs.residual[slot].bits <= half_infinity, "residual[0][", slot, "] is not >= 0");
    if (c.metric == Metric::l2)
      expects<FormatError>(std::fabs(c.bias[slot]) <= most_bias, "bias[", slot, "] is ", c.bias[slot],
                           ", expected at most largest_bias = ", c.largest_bias);
  });
}

void check_live_rows(const PoolColumns& c) {
  for_each_live(c, [&](std::size_t slot) {
    const auto row = c.rows.view().subspan(slot * c.dims, c.dims);
    expects<FormatError>(std::ranges::all_of(row, [](float x) { return std::isfinite(x); }), "the row in slot ", slot,
                         " is not finite");
    expects<FormatError>(c.metric != Metric::cosine || std::ranges::any_of(row, [](float x) { return x != 0.0F; }),
                         "the row in slot ", slot, " has length 0, which has no cosine");
  });
}

}  // namespace

void check_columns(const PoolColumns& columns) {
  check_scalars(columns);
  check_sizes(columns);
  check_finite("rotation", columns.rotation);
  check_signs(columns);
  check_finite("centers", columns.centers);
  check_cells(columns);
  check_tail(columns);
  check_live_slots(columns);
  if (!columns.rows.mapped()) check_live_rows(columns);
}

}  // namespace mpp::ranking

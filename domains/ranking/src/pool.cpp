#include <algorithm>
#include <bit>
#include <cmath>
#include <numeric>

#include <mpp/ranking/cells.hpp>
#include <mpp/ranking/pool.hpp>

#include "src/check_columns.hpp"
#include "src/encode.hpp"
#include "src/rotation.hpp"
#include "src/unit_rows.hpp"

namespace mpp::ranking {
namespace {

constexpr std::size_t max_dims = 32768;
constexpr std::size_t max_rows = std::size_t{1} << 31;  // slots are 32-bit, with room for padding
// The largest ||y|| is below 2^14: Half then holds rows down to 2^-17 of it in full precision.
constexpr int unit_headroom = 14;

// Slots of the rows, cell by cell, each cell from the start of a block, its rows by descending distance from the centre: rows
// of a block then have much the same factors, so a bound for the whole block is nearly as tight as one for each row, and
// rows that stay open for their length share blocks. Fills block_cell.
std::vector<std::uint32_t> place(std::span<const std::uint32_t> cell, std::span<const double> distance,
                                 std::size_t cells, PoolColumns& columns) {
  std::vector<std::size_t> next(cells, 0);
  for (const std::uint32_t c : cell) ++next[c];
  std::size_t block = 0;
  for (std::size_t c = 0; c < cells; ++c) {
    const std::size_t blocks = kernels::blocks_of(next[c]);
    columns.block_cell.values().insert(columns.block_cell.values().end(), blocks, static_cast<std::uint32_t>(c));
    next[c] = block * kernels::block_rows;
    block += blocks;
  }
  expects<ShapeError>(block * kernels::block_rows <= max_rows, "Pool::build: ", cells, " cells fill ", block,
                      " blocks of ", kernels::block_rows, " slots, expected at most ", max_rows,
                      " slots; use fewer cells");
  std::vector<std::uint32_t> order(cell.size()), slot(cell.size());
  std::iota(order.begin(), order.end(), 0U);
  std::ranges::sort(order, [&](std::uint32_t a, std::uint32_t b) {
    return distance[a] > distance[b] || (distance[a] == distance[b] && a < b);
  });
  for (const std::uint32_t row : order) slot[row] = static_cast<std::uint32_t>(next[cell[row]]++);
  return slot;
}

// Makes room for `blocks` blocks in every per-slot column.
void resize_slots(std::size_t blocks, PoolColumns& columns) {
  const std::size_t slots = blocks * kernels::block_rows;
  columns.live.values().resize(blocks);
  columns.block_plane[0].top_scale.values().resize(blocks);
  columns.block_plane[0].top_residual.values().resize(blocks);
  columns.ids.values().resize(slots);
  columns.rows.values().resize(slots * columns.dims);
  if (columns.metric == Metric::l2) columns.bias.values().resize(slots);
  for (std::size_t p = 0; p < block_planes; ++p) {
    BlockPlane& plane = columns.block_plane[p];
    plane.signs.values().resize(kernels::blocked_bytes(slots, columns.coded_dims));
    plane.scale.values().resize(slots);
    plane.residual.values().resize(slots);
    if (p > 0) plane.norm.values().resize(slots, kernels::nearest_half(1.0));  // of no row: anything but 0
  }
  for (std::size_t p = block_planes; p < kernels::planes; ++p) {
    RowPlane& plane = columns.row_plane[p - block_planes];
    plane.codes.values().resize(slots * kernels::plane_row_bytes(p, columns.coded_dims));
    plane.factors.values().resize(slots);
  }
}

// Largest factor of each block, from the first of the blocks that have changed.
void find_tops(std::span<const kernels::Half> factor, std::size_t first, std::span<float> top) {
  // Ordered like halves that are not negative; what a slot without a row holds is below them, or stops the skipping.
  const auto bits = [](kernels::Half x) { return static_cast<std::int16_t>(x.bits); };
  for (std::size_t b = first; b < top.size(); ++b) {
    const auto block = factor.subspan(b * kernels::block_rows, kernels::block_rows);
    top[b] = kernels::to_float(*std::ranges::max_element(block, {}, bits));
  }
}

void find_tops(std::size_t first, BlockPlane& plane) {
  find_tops(plane.scale.view(), first, plane.top_scale.values());
  find_tops(plane.residual.view(), first, plane.top_residual.values());
}

void name_rows(std::span<const std::uint32_t> slots, PoolColumns& columns) {
  for (const std::uint32_t slot : slots) {
    columns.ids.values()[slot] = static_cast<std::uint32_t>(columns.next_id++);
    columns.live.values()[slot / kernels::block_rows] |= std::uint64_t{1} << slot % kernels::block_rows;
  }
}

std::uint64_t bytes_of_plane(const BlockPlane& plane) {
  return plane.signs.bytes() + plane.scale.bytes() + plane.residual.bytes() + plane.norm.bytes() +
         plane.top_scale.bytes() + plane.top_residual.bytes();
}

Cells make_cells(std::span<const float> rows, std::size_t dims, const PoolOptions& options) {
  std::vector<float> scaled;  // for cosine the centres are those of the rows as they are ranked
  if (options.metric == Metric::cosine) rows = scaled = unit_rows("Pool::build", rows, dims);
  return options.cells == 1 ? single_cell(rows, dims) : kmeans_cells(rows, dims, options.cells, options.seed);
}

}  // namespace

Pool::Pool(PoolColumns columns) : columns_(std::move(columns)) {
  check_columns(columns_);
  columns_.block_plane[0].top_scale.values().resize(columns_.blocks());
  columns_.block_plane[0].top_residual.values().resize(columns_.blocks());
  find_tops(0, columns_.block_plane[0]);
  for (const std::uint64_t word : columns_.live.view()) size_ += static_cast<std::size_t>(std::popcount(word));
}

Pool Pool::build(std::span<const float> rows, std::size_t dims, const PoolOptions& options) {
  expects<ShapeError>(dims > 0 && dims <= max_dims, "Pool::build: dims is ", dims, ", expected in [1, ", max_dims, "]");
  expects<ShapeError>(rows.size() % dims == 0, "Pool::build: rows has ", rows.size(),
                      " values, expected a multiple of dims = ", dims);
  const std::size_t n = rows.size() / dims;
  expects<ShapeError>(n <= max_rows, "Pool::build: ", n, " rows, expected at most ", max_rows);
  expects<ValueError>(options.cells >= 1 && options.cells <= std::max<std::size_t>(n, 1), "Pool::build: cells is ",
                      options.cells, ", expected in [1, rows = ", n, "]");
  expects<ValueError>(options.clip > 0.0F && options.clip <= 1.0F, "Pool::build: clip is ", options.clip,
                      ", expected in (0, 1]");
  check_rows(rows, dims, options.metric);

  PoolColumns columns;
  columns.metric = options.metric;
  columns.dims = static_cast<std::uint32_t>(dims);
  columns.coded_dims = static_cast<std::uint32_t>((dims + 7) / 8 * 8);
  columns.rotation = Column<float>(haar_rotation(columns.coded_dims, options.seed));
  const Cells cells = make_cells(rows, dims, options);
  columns.centers = Column<float>(cells.centers);
  const std::vector<double> distance = centered_norms(rows, cells.assignment, columns);
  const auto slot = place(cells.assignment, distance, options.cells, columns);
  resize_slots(columns.block_cell.size(), columns);
  const double largest = n == 0 ? 0.0 : std::ranges::max(distance);
  columns.unit_exponent = largest > 0.0 ? std::ilogb(largest) + 1 - unit_headroom : 0;
  encode_rows(rows, {cells.assignment, slot}, options.clip, options.progress, columns);
  name_rows(slot, columns);
  return Pool(std::move(columns));
}

std::uint64_t Pool::add(std::span<const float> rows) {
  const std::size_t dims = columns_.dims;
  expects<ShapeError>(rows.size() % dims == 0, "Pool::add: rows has ", rows.size(),
                      " values, expected a multiple of dims = ", dims);
  check_rows(rows, dims, columns_.metric);
  const std::size_t n = rows.size() / dims;
  const std::size_t tail_blocks = kernels::blocks_of(columns_.tail_rows);
  const std::size_t tail_start = (columns_.blocks() - tail_blocks) * kernels::block_rows;
  const std::size_t blocks = columns_.blocks() - tail_blocks + kernels::blocks_of(columns_.tail_rows + n);
  expects<ShapeError>(blocks * kernels::block_rows <= max_rows, "Pool::add: ", n, " rows do not fit, expected at most ",
                      max_rows, " slots in all");
  // New rows are coded around the first centre: any centre is sound, and a rebuild gives them their own.
  const std::vector<std::uint32_t> cell(n, 0);
  std::vector<std::uint32_t> slot(n);
  std::iota(slot.begin(), slot.end(), static_cast<std::uint32_t>(tail_start + columns_.tail_rows));
  const std::uint64_t first = columns_.next_id;
  const std::size_t old_blocks = columns_.blocks();
  try {
    columns_.block_cell.values().resize(blocks, 0);
    resize_slots(blocks, columns_);
    encode_rows(rows, {cell, slot}, PoolOptions{}.clip, {}, columns_);
  } catch (...) {  // out of memory half-way: shrinking allocates nothing
    columns_.block_cell.values().resize(old_blocks);
    resize_slots(old_blocks, columns_);
    throw;
  }
  find_tops(tail_start / kernels::block_rows, columns_.block_plane[0]);
  name_rows(slot, columns_);
  columns_.tail_rows += n;
  size_ += n;
  return first;
}

void Pool::remove(std::uint64_t id) {
  const auto ids = columns_.ids.view();
  for (std::size_t slot = 0; slot < ids.size(); ++slot) {
    const std::uint64_t bit = std::uint64_t{1} << slot % kernels::block_rows;
    if (ids[slot] != id || (columns_.live[slot / kernels::block_rows] & bit) == 0) continue;
    columns_.live.values()[slot / kernels::block_rows] &= ~bit;
    --size_;
    return;
  }
  throw ValueError(text("Pool::remove: no row has id ", id));
}

Footprint Pool::resident() const noexcept {
  const PoolColumns& c = columns_;
  const std::uint64_t bytes = bytes_of_plane(c.block_plane[0]) + c.bias.bytes() + c.live.bytes() + c.rotation.bytes() +
                              c.centers.bytes() + c.block_cell.bytes();
  return Footprint::host(Bytes{bytes});
}

Footprint Pool::backing() const noexcept {
  const PoolColumns& c = columns_;
  std::uint64_t bytes = c.ids.bytes() + c.rows.bytes();
  for (std::size_t p = 1; p < block_planes; ++p) bytes += bytes_of_plane(c.block_plane[p]);
  for (const RowPlane& plane : c.row_plane) bytes += plane.codes.bytes() + plane.factors.bytes();
  return c.rows.mapped() ? Footprint::disk(Bytes{bytes}) : Footprint::host(Bytes{bytes});
}

}  // namespace mpp::ranking

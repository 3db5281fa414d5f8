#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>

#include <mpp/kernels/rescore.hpp>
#include <mpp/kernels/screen.hpp>
#include <mpp/ranking/rank_tier.hpp>

#include "src/contenders.hpp"

namespace mpp::ranking {
namespace {

constexpr float infinity = std::numeric_limits<float>::infinity();
constexpr Level exact_level = kernels::planes;

// Bytes of one open row that every code level needs.
constexpr Bytes open_row_bytes{sizeof(std::uint32_t) + sizeof(std::int32_t) + sizeof(kernels::ScoreInterval)};

// Slices that a code level brings in for each open row.
std::size_t first_slice(std::size_t plane) { return plane + 1 == kernels::planes ? 0 : kernels::plane_end[plane - 1]; }
Bytes code_row_bytes(std::size_t plane, std::size_t coded_dims) {
  return Bytes{(kernels::plane_end[plane] - first_slice(plane)) * coded_dims / 8};
}

std::size_t allowed_rows(const Pool& pool, const RankRequest& request) {
  if (request.filter == nullptr) return pool.size();
  std::size_t rows = 0;
  for (std::size_t b = 0; b < pool.columns().blocks(); ++b)
    rows += static_cast<std::size_t>(std::popcount(pool.columns().live[b] & request.filter->bits()[b]));
  return rows;
}

void check_request(const Pool& pool, const RankRequest& request) {
  expects<ValueError>(request.k >= 1, "RankRequest: k is 0, expected at least 1");
  expects<ValueError>(request.delta.value >= 0.0 && request.delta.value < 1.0, "RankRequest: delta is ",
                      request.delta.value, ", expected in [0, 1)");
  expects<ValueError>(request.filter == nullptr || request.filter->fits(pool),
                      "RankRequest: the filter was made for another pool or before rows were added; make it anew");
}

// A short copy whose length is known only at run time: a call of memcpy would cost more than the bytes.
void copy_bytes(const std::uint8_t* from, std::size_t bytes, std::uint8_t* to) {
  std::size_t i = 0;
  for (; i + sizeof(std::uint64_t) <= bytes; i += sizeof(std::uint64_t)) {
    std::uint64_t word;
    std::memcpy(&word, from + i, sizeof(word));
    std::memcpy(to + i, &word, sizeof(word));
  }
  for (; i < bytes; ++i) to[i] = from[i];
}

// A row of a block plane lies spread over its block, a byte in each line; `later` is a row that follows soon.
std::uint8_t* copy_signs(const BlockPlane& plane, std::size_t slot, std::size_t later, std::size_t coded_dims,
                         std::uint8_t* out) {
  const std::size_t groups = coded_dims / 8;
  const auto block_of = [&](std::size_t row) {
    return plane.signs.view().data() + row / kernels::block_rows * groups * kernels::block_rows;
  };
  for (std::size_t g = 0; g < groups; ++g) {
    __builtin_prefetch(block_of(later) + g * kernels::block_rows);
    *out++ = block_of(slot)[g * kernels::block_rows + slot % kernels::block_rows];
  }
  return out;
}

// Brings the slices [first_slice, end) of a plane together for the listed rows, one row after the other.
// The rows lie far apart: their lines are asked for some rows ahead.
void gather_codes(const PoolColumns& c, std::span<const std::uint32_t> slots, std::size_t plane, std::uint8_t* codes) {
  constexpr std::size_t ahead = 24;
  const bool whole = first_slice(plane) == 0;
  for (std::size_t i = 0; i < slots.size(); ++i) {
    const std::size_t slot = slots[i];
    const std::size_t later = slots[std::min(i + ahead, slots.size() - 1)];
    if (whole)
      for (const BlockPlane& signs : c.block_plane)
        codes = copy_signs(signs, slot, slots[std::min(i + 4, slots.size() - 1)], c.coded_dims, codes);
    for (std::size_t p = whole ? block_planes : plane; p <= plane; ++p) {
      const std::uint8_t* from = c.row_plane[p - block_planes].codes.view().data();
      const std::size_t bytes = kernels::plane_row_bytes(p, c.coded_dims);
      __builtin_prefetch(from + later * bytes);
      copy_bytes(from + slot * bytes, bytes, codes);
      codes += bytes;
    }
  }
}

// Gives the memory of a buffer back to the reservation.
template <class T>
void discard(Buffer<T>& buffer) {
  Buffer<T>(buffer.get_allocator()).swap(buffer);
}

}  // namespace

RankState::RankState(std::pmr::memory_resource* memory)
    : frame(memory), open(memory), pilot(memory), pilot_rows(memory), pilot_scores(memory), contenders(memory),
      slot(memory), dot(memory), interval(memory), dots(memory), codes(memory), rows(memory), row_scores(memory),
      scored(memory), highest_open(std::numeric_limits<double>::infinity()) {}

RankTier::RankTier(const Pool& pool, RankOptions options) : pool_(pool), options_(options) {
  expects<ValueError>(options.first_level <= 2, "RankTier: first_level is ", options.first_level,
                      ", expected at most 2");
}

std::size_t RankTier::pilot_size(const Request& request) const {
  return std::min(std::max(options_.pilot, request.k), pool_.size());
}

Bytes RankTier::common_bytes(const Request& request) const {
  const std::size_t pilot = pilot_size(request);
  const std::size_t k = std::min(request.k, pool_.size());
  return frame_bytes(pool_) + bytes_of<std::uint64_t>(pool_.columns().blocks()) + bytes_of<kernels::Candidate>(pilot) +
         bytes_of<float>(std::min(pilot, rescored_together) * pool_.dims()) + bytes_of<double>(pilot) +
         bytes_of<Contender>(k + pilot);
}

// Bytes of what a level needs only until the next one.
Bytes RankTier::turn_bytes(const Request& request, Level level, std::size_t open_rows) const {
  const PoolColumns& c = pool_.columns();
  if (level < block_planes) return bytes_of<std::int16_t>(c.slots());
  if (level < exact_level) return code_row_bytes(level, c.coded_dims) * open_rows;
  return (bytes_of<float>(pool_.dims()) + bytes_of<double>(1)) * open_rows +
         bytes_of<kernels::Scored>(open_rows + std::min(request.k, pool_.size()));
}

Footprint RankTier::footprint(const Request& request, Level level) const {
  check_request(pool_, request);
  const std::size_t n = allowed_rows(pool_, request);
  Bytes turns;
  for (Level l = 0; l <= level; ++l) turns = std::max(turns, turn_bytes(request, l, n));
  return Footprint::host(common_bytes(request) + turns + (level >= block_planes ? open_row_bytes * n : Bytes{}));
}

Footprint RankTier::increment(const Request& request, const State& state, Level level) const {
  check_request(pool_, request);
  const bool fresh = state.screened == 0;
  const std::size_t n = fresh ? allowed_rows(pool_, request) : state.open_rows;
  const Bytes had = state.turn_bytes;
  Bytes needed = std::max(had, turn_bytes(request, level, n));
  if (fresh) needed = std::max(needed, turn_bytes(request, 0, n));  // the block planes are screened in any case
  Bytes bytes = needed - had;
  if (fresh) bytes += common_bytes(request);
  if (level >= block_planes && state.slot.capacity() == 0) bytes += open_row_bytes * n;
  return Footprint::host(bytes);
}

// Everything before the first plane is screened.
void RankTier::prepare(const Request& request, State& state) const {
  const PoolColumns& c = pool_.columns();
  const std::size_t pilot = pilot_size(request);
  make_frame(pool_, request.query, Delta{request.delta.value / static_cast<double>(levels())}, state.frame);
  state.dots.resize(c.slots());
  state.turn_bytes = turn_bytes(request, 0, 0);
  state.open.assign(c.live.view().begin(), c.live.view().end());
  if (request.filter != nullptr)
    for (std::size_t b = 0; b < state.open.size(); ++b) state.open[b] &= request.filter->bits()[b];
  state.pilot.resize(pilot);
  state.pilot_rows.resize(std::min(pilot, rescored_together) * pool_.dims());
  state.pilot_scores.resize(pilot);
  state.contenders.reserve(std::min(request.k, pool_.size()) + pilot);
  state.open_rows = allowed_rows(pool_, request);
}

void RankTier::materialise_batch(std::span<const BatchItem<RankTier>> items, Level level) const {
  screen_signs(items);
  if (level == 1 || level == 2) refine_blocks(items);  // above, dot products start anew or are not needed
  if (level < block_planes) return;
  for (const auto& [request, state] : items) bring_in(*request, *state, level);
}

void RankTier::screen_signs(std::span<const BatchItem<RankTier>> items) const {
  const PoolColumns& c = pool_.columns();
  std::vector<kernels::ScreenQuery> queries;
  for (const auto& [request, state] : items) {
    if (state->screened > 0) continue;
    prepare(*request, *state);
    queries.push_back({state->frame.table, state->dots});
    state->screened = 1;
  }
  if (!queries.empty()) kernels::screen({}, c.block_plane[0].signs.view(), c.coded_dims, queries);
}

void RankTier::refine_blocks(std::span<const BatchItem<RankTier>> items) const {
  const PoolColumns& c = pool_.columns();
  std::vector<kernels::RefineQuery> queries;
  for (const auto& [request, state] : items) {
    if (state->screened == block_planes) continue;
    queries.push_back({state->frame.table, state->dots, state->open});
    state->screened = block_planes;
  }
  if (!queries.empty()) kernels::refine_blocks({}, c.block_plane[1].signs.view(), c.coded_dims, queries);
}

void RankTier::materialise(const Request& request, State& state, Level level) const {
  const BatchItem<RankTier> item{&request, &state};
  materialise_batch(std::span(&item, 1), level);
}

void RankTier::bring_in(const Request& request, State& state, Level level) const {
  state.turn_bytes = std::max(state.turn_bytes, turn_bytes(request, level, state.open_rows));
  if (state.slot.capacity() == 0) list_open(state);
  discard(state.codes);
  if (level < exact_level) bring_in_codes(state, level);
  if (level == exact_level) bring_in_rows(request, state);
}

// Lists the rows that the block planes have left open, with what they say of them.
void RankTier::list_open(State& state) const {
  const std::size_t n = state.open_rows;
  state.slot.resize(n);
  state.dot.resize(n);
  state.interval.resize(n);
  kernels::compact_marked({}, state.open, state.slot);
  for (std::size_t i = 0; i < n; ++i) {
    state.dot[i] = state.dots[state.slot[i]];
    state.interval[i] = {-infinity, infinity};
  }
  discard(state.dots);
}

// Adds the codes of one more plane to the rows that are left.
void RankTier::bring_in_codes(State& state, std::size_t plane) const {
  const PoolColumns& c = pool_.columns();
  const std::size_t count = kernels::plane_end[plane] - first_slice(plane);
  state.codes.resize(state.open_rows * count * c.coded_dims / 8);
  gather_codes(c, state.slot, plane, state.codes.data());
  const bool finest = plane + 1 == kernels::planes;
  if (finest) std::fill(state.dot.begin(), state.dot.end(), 0);
  kernels::refine_dots({}, state.codes, count, finest ? state.frame.fine_code : state.frame.coarse_code, state.dot);
}

void RankTier::bring_in_rows(const Request& request, State& state) const {
  const std::size_t n = state.open_rows;
  const std::size_t dims = pool_.dims();
  const auto rows = pool_.columns().rows.view();
  state.rows.resize(n * dims);
  state.row_scores.resize(n);
  state.scored.reserve(n + std::min(request.k, pool_.size()));
  for (std::size_t i = 0; i < n; ++i) std::copy_n(&rows[state.slot[i] * dims], dims, &state.rows[i * dims]);
}

}  // namespace mpp::ranking

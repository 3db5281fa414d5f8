// The best of n midpoints without sorting n of them. Rows are cut into tiles, one for each thread block. A tile's best
// is the midpoint of a row, so the k-th best of these is a bar that at least k rows reach, and none of the k best lies
// below it. A second pass over the tiles that reach the bar collects their rows that do, which are little more than k
// unless scores tie, and only those are sorted. All rows are read once: 4 bytes each, several loads in flight.
//
// Midpoints are compared as unsigned integers in the order of their floats; 0 stands for a row that does not count. In
// the list the complement of that number comes first and the row second, so that equal scores sort by row.
#include <algorithm>
#include <limits>

#include <cub/device/device_merge_sort.cuh>
#include <cuda/std/functional>

#include "float_order.cuh"
#include "interval.cuh"
#include "ops.hpp"
#include "scratch.cuh"

namespace mpp::kernels::cuda {
namespace {

constexpr unsigned block_width = 256;
constexpr unsigned warp = 32;
constexpr unsigned rows_in_flight = 4;  // of a thread
constexpr unsigned max_tiles = 1024;    // one thread each, for the k-th best of them

struct Midpoints {
  const std::int16_t* dots;
  const Half* scale;
  const float* block_offset;
  const float* bias;
  const std::uint64_t* allowed;
  float step, least;

  __device__ std::uint32_t order(std::size_t row) const {
    const float mid = row_midpoint(row_base(block_offset, bias, row), device_float(scale[row]), step, dots[row]);
    const bool counts = (allowed[row / block_rows] >> (row % block_rows) & 1U) != 0 && mid >= least;  // not for NaN
    return counts ? ordered_bits(mid) : 0;
  }
};

struct Selection {
  std::uint32_t bar;
  unsigned long long rows;  // that reach it
};

// 8 thread blocks share a multiprocessor, so that a large H100 runs all tiles at once.
__global__ void __launch_bounds__(block_width, 8)
    tile_kernel(Midpoints midpoints, std::size_t n, std::size_t tile, std::uint32_t* best) {
  const std::size_t first = blockIdx.x * tile, last = min(n, first + tile);
  std::uint32_t highest = 0;
  for (std::size_t row = first + threadIdx.x; row < last; row += rows_in_flight * block_width)
#pragma unroll
    for (unsigned i = 0; i < rows_in_flight; ++i)  // no branch between loads: the last row may come twice
      highest = max(highest, midpoints.order(min(row + i * block_width, last - 1)));
  __shared__ std::uint32_t of_warp[block_width / warp];
  highest = __reduce_max_sync(~0U, highest);
  if (threadIdx.x % warp == 0) of_warp[threadIdx.x / warp] = highest;
  __syncthreads();
  if (threadIdx.x != 0) return;
  for (const std::uint32_t other : of_warp) highest = max(highest, other);
  best[blockIdx.x] = highest;
}

// The k-th largest, bit by bit from the top: a bit is set while k tiles reach the number with it. Fewer tiles than k
// leave it 0, and every row that counts reaches the bar.
__global__ void __launch_bounds__(max_tiles)
    bar_kernel(const std::uint32_t* best, unsigned tiles, std::size_t k, Selection* selection) {
  const std::uint32_t own = threadIdx.x < tiles ? best[threadIdx.x] : 0;
  std::uint32_t kth = 0;
  for (std::uint32_t bit = 1U << 31; bit != 0; bit >>= 1)
    if (static_cast<std::size_t>(__syncthreads_count(own >= (kth | bit))) >= k) kth |= bit;
  if (threadIdx.x == 0) *selection = {max(kth, 1U), 0};
}

// Counts all rows that reach the bar, writes those that find room.
__global__ void __launch_bounds__(block_width)
    collect_kernel(Midpoints midpoints, std::size_t n, std::size_t tile, const std::uint32_t* best,
                   Selection* selection, std::uint64_t* list, std::size_t room) {
  const std::uint32_t bar = selection->bar;
  if (best[blockIdx.x] < bar) return;
  const std::size_t first = blockIdx.x * tile, last = min(n, first + tile);
  const unsigned lane = threadIdx.x % warp;
  for (std::size_t warp_first = first + threadIdx.x - lane; warp_first < last; warp_first += block_width) {
    const std::size_t row = warp_first + lane;  // tiles and n are multiples of a warp
    const std::uint32_t order = midpoints.order(row);
    const unsigned votes = __ballot_sync(~0U, order >= bar);
    if (votes == 0) continue;
    unsigned long long at = 0;
    if (lane == 0) at = atomicAdd(&selection->rows, static_cast<unsigned long long>(__popc(votes)));
    at = __shfl_sync(~0U, at, 0) + __popc(votes & ((1U << lane) - 1));
    if (order >= bar && at < room) list[at] = std::uint64_t{~order} << 32 | row;
  }
}

__global__ void write_kernel(const std::uint64_t* list, std::size_t n, Candidate* best) {
  const std::size_t i = std::size_t{blockIdx.x} * block_width + threadIdx.x;
  if (i < n)
    best[i] = {float_of_order(~static_cast<std::uint32_t>(list[i] >> 32)), static_cast<std::uint32_t>(list[i])};
}

}  // namespace

std::size_t best_midpoints(const Context& context, std::span<const std::int16_t> dots, const BlockRows& rows,
                           const ScoreFrame& frame, std::span<Candidate> best, float least) {
  constexpr const char* operation = "best_midpoints";
  const std::size_t n = dots.size();
  if (n == 0 || best.empty()) return 0;
  const cudaStream_t stream = stream_of(context);
  const Midpoints midpoints{dots.data(),
                            rows.factors.scale.data(),
                            rows.block_offset.data(),
                            rows.bias.empty() ? nullptr : rows.bias.data(),
                            rows.allowed.data(),
                            frame.step,
                            std::max(least, std::numeric_limits<float>::lowest())};
  const std::size_t tile = std::size_t{block_width} * ((n - 1) / (std::size_t{block_width} * max_tiles) + 1);
  const unsigned tiles = grid_of(n, tile, operation);
  const Scratch<std::uint32_t> best_of_tile(context, tiles, operation);
  const DeviceValue<Selection> selection(context, operation);
  tile_kernel<<<tiles, block_width, 0, stream>>>(midpoints, n, tile, best_of_tile.get());
  check_launch(operation);
  // Usually there is room enough at once; else the count of this time is the room of the next.
  for (std::size_t room = std::max<std::size_t>(1 << 15, best.size());;) {
    const Scratch<std::uint64_t> list(context, room, operation);
    bar_kernel<<<1, max_tiles, 0, stream>>>(best_of_tile.get(), tiles, best.size(), selection.get());
    check_launch(operation);
    collect_kernel<<<tiles, block_width, 0, stream>>>(midpoints, n, tile, best_of_tile.get(), selection.get(),
                                                      list.get(), room);
    check_launch(operation);
    const auto reaching = static_cast<std::size_t>(selection.read().rows);
    if (reaching == 0) return 0;
    if (reaching > room) {
      room = reaching;
      continue;
    }
    with_cub_storage(context, operation, [&](void* storage, std::size_t& bytes) {
      return cub::DeviceMergeSort::SortKeys(storage, bytes, list.get(), static_cast<std::int64_t>(reaching),
                                            ::cuda::std::less<>{}, stream);
    });
    const std::size_t kept = std::min(best.size(), reaching);
    write_kernel<<<grid_of(kept, block_width, operation), block_width, 0, stream>>>(list.get(), kept, best.data());
    check_launch(operation);
    finish(context, operation);
    return kept;
  }
}

}  // namespace mpp::kernels::cuda

// A thread takes 4 rows, 256 apart, so that the loads of a warp lie side by side and those of all rows are in flight
// before the first is used. A warp's votes are half a word of the bitmap (bit i of the vote is lane i), so no thread
// ever touches another's bit. The number of marked rows and the highest upper score are combined per thread block
// first: one pair of atomics for 1024 rows.
//
// Few rows reach the threshold, and most of the others show it without the division and the square root of their
// interval: with the whole query for its part orthogonal to the code. The half-width is a chain of operations that are
// monotone in that part, each rounded up, so this upper score is never below the interval's, also in float. A row that
// it excludes is excluded by the interval as well: the marks are the same.
#include <limits>

#include "float_order.cuh"
#include "interval.cuh"
#include "ops.hpp"
#include "scratch.cuh"

namespace mpp::kernels::cuda {
namespace {

constexpr unsigned block_width = 256;
constexpr unsigned warp = 32;
constexpr unsigned rows_per_thread = 4;
constexpr unsigned rows_per_block = rows_per_thread * block_width;

struct Found {
  unsigned long long rows;
  std::uint32_t highest;  // in the order of floats; 0, below -infinity, while there is no row
};

struct Columns {
  const std::int16_t* dots;
  const Half* scale;
  const Half* residual;
  const Half* norm;  // or null: all have same_norm
  float same_norm;
  const float* block_offset;
  const float* bias;
  const std::uint32_t* allowed;  // halves of words
};

struct Row {
  int dot;
  float scale, residual, norm, base;
  std::uint32_t allowed;  // of the row's warp
};
__device__ Row load_row(const Columns& columns, std::size_t row) {
  return {columns.dots[row],
          device_float(columns.scale[row]),
          device_float(columns.residual[row]),
          columns.norm == nullptr ? columns.same_norm : device_float(columns.norm[row]),
          row_base(columns.block_offset, columns.bias, row),
          columns.allowed[row / warp]};
}

__global__ void __launch_bounds__(block_width) mark_kernel(Columns columns, std::size_t n, ScoreFrame frame,
                                                           float threshold, std::uint32_t* marked, Found* found) {
  __shared__ Found in_block;
  if (threadIdx.x == 0) in_block = {};
  __syncthreads();
  const float query_length = __fsqrt_ru(frame.q2);
  const std::size_t first = std::size_t{blockIdx.x} * rows_per_block + threadIdx.x;
  Row rows[rows_per_thread];
#pragma unroll
  for (unsigned i = 0; i < rows_per_thread; ++i)  // no branch between loads: beyond the end is the last row once more
    rows[i] = load_row(columns, min(first + i * block_width, n - 1));
#pragma unroll
  for (unsigned i = 0; i < rows_per_thread; ++i) {
    const std::size_t at = first + i * block_width;
    const Row& row = rows[i];
    bool reaches = at < n && (row.allowed >> (threadIdx.x % warp) & 1U) != 0;
    float upper = 0.0F;
    if (reaches) {
      const CodedTerms terms = coded_terms(row.dot, row.scale, row.norm, frame);
      if (deterministic_interval(row.base, row.residual, query_length, terms, frame).upper < threshold) {
        reaches = false;
      } else {
        upper = score_interval(row.dot, row.base, row.scale, row.residual, row.norm, terms, frame).upper;
        reaches = !(upper < threshold);
      }
    }
    const unsigned votes = __ballot_sync(~0U, reaches);
    if (at < n && threadIdx.x % warp == 0) marked[at / warp] = votes;
    if (votes == 0) continue;
    const float highest = isnan(upper) ? std::numeric_limits<float>::infinity() : upper;
    const std::uint32_t of_warp = __reduce_max_sync(~0U, reaches ? ordered_bits(highest) : 0);
    if (threadIdx.x % warp == 0) {
      atomicMax(&in_block.highest, of_warp);
      atomicAdd(&in_block.rows, static_cast<unsigned long long>(__popc(votes)));
    }
  }
  __syncthreads();
  if (threadIdx.x != 0 || in_block.rows == 0) return;
  atomicAdd(&found->rows, in_block.rows);
  atomicMax(&found->highest, in_block.highest);
}

}  // namespace

Reach mark_reaching(const Context& context, std::span<const std::int16_t> dots, const BlockRows& rows,
                    const ScoreFrame& frame, float threshold, std::span<std::uint64_t> marked) {
  constexpr const char* operation = "mark_reaching";
  const std::size_t n = dots.size();
  if (n == 0) return {};
  const DeviceValue<Found> found(context, operation);
  const Columns columns{dots.data(), rows.factors.scale.data(), rows.factors.residual.data(),
                        rows.factors.norm.empty() ? nullptr : rows.factors.norm.data(), rows.factors.same_norm,
                        rows.block_offset.data(), rows.bias.empty() ? nullptr : rows.bias.data(),
                        // CUDA is little-endian: the lower half of a word comes first.
                        reinterpret_cast<const std::uint32_t*>(rows.allowed.data())};
  mark_kernel<<<grid_of(n, rows_per_block, operation), block_width, 0, stream_of(context)>>>(
      columns, n, frame, threshold, reinterpret_cast<std::uint32_t*>(marked.data()), found.get());
  check_launch(operation);
  const Found result = found.read();
  if (result.rows == 0) return {};
  return {static_cast<std::size_t>(result.rows), float_of_order(result.highest)};
}

}  // namespace mpp::kernels::cuda

// One thread owns one row; dots, scales and residuals are read side by side, 2 bytes each. A warp's votes are half a
// word of the bitmap (bit i of the vote is lane i), so no thread ever touches another's bit. The number of marked rows
// and the highest upper score are combined per thread block first: one pair of atomics for 256 rows.
#include <limits>

#include "float_order.cuh"
#include "interval.cuh"
#include "ops.hpp"
#include "scratch.cuh"

namespace mpp::kernels::cuda {
namespace {

constexpr unsigned block_width = 256;
constexpr unsigned warp = 32;

struct Found {
  unsigned long long rows;
  std::uint32_t highest;  // in the order of floats; 0, below -infinity, while there is no row
};

__global__ void mark_kernel(const std::int16_t* dots, std::size_t n, const Half* scale, const Half* residual,
                            float same_norm, const Half* norm, const float* block_offset, const float* bias,
                            const std::uint32_t* allowed, ScoreFrame frame, float threshold, std::uint32_t* marked,
                            Found* found) {
  __shared__ std::uint32_t highest;
  if (threadIdx.x == 0) highest = 0;
  __syncthreads();
  const std::size_t row = std::size_t{blockIdx.x} * block_width + threadIdx.x;
  bool reaches = false;
  if (row < n && (allowed[row / warp] >> (row % warp) & 1U) != 0) {
    const float upper =
        score_interval(dots[row], row_base(block_offset, bias, row), device_float(scale[row]),
                       device_float(residual[row]), norm == nullptr ? same_norm : device_float(norm[row]), frame)
            .upper;
    reaches = !(upper < threshold);
    if (reaches) atomicMax(&highest, ordered_bits(isnan(upper) ? std::numeric_limits<float>::infinity() : upper));
  }
  const unsigned votes = __ballot_sync(~0U, reaches);
  if (row < n && threadIdx.x % warp == 0) marked[row / warp] = votes;
  const int in_block = __syncthreads_count(reaches);
  if (threadIdx.x == 0 && in_block != 0) {
    atomicAdd(&found->rows, static_cast<unsigned long long>(in_block));
    atomicMax(&found->highest, highest);
  }
}

}  // namespace

Reach mark_reaching(const Context& context, std::span<const std::int16_t> dots, const BlockRows& rows,
                    const ScoreFrame& frame, float threshold, std::span<std::uint64_t> marked) {
  constexpr const char* operation = "mark_reaching";
  const std::size_t n = dots.size();
  if (n == 0) return {};
  const DeviceValue<Found> found(context, operation);
  mark_kernel<<<grid_of(n, block_width, operation), block_width, 0, stream_of(context)>>>(
      dots.data(), n, rows.factors.scale.data(), rows.factors.residual.data(), rows.factors.same_norm,
      rows.factors.norm.empty() ? nullptr : rows.factors.norm.data(), rows.block_offset.data(),
      rows.bias.empty() ? nullptr : rows.bias.data(),
      // CUDA is little-endian: the lower half of a word comes first.
      reinterpret_cast<const std::uint32_t*>(rows.allowed.data()), frame, threshold,
      reinterpret_cast<std::uint32_t*>(marked.data()), found.get());
  check_launch(operation);
  const Found result = found.read();
  if (result.rows == 0) return {};
  return {static_cast<std::size_t>(result.rows), float_of_order(result.highest)};
}

}  // namespace mpp::kernels::cuda

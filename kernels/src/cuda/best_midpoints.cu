// Midpoints become 32-bit keys whose ascending order is the descending order of scores, then CUB's radix sort puts
// them in order with their row numbers. The sort is stable and rows enter ascending, so that equal scores stay in the
// order of their rows without spending key bits on it. Excluded rows get the largest key and stay behind the rest.
#include <algorithm>
#include <limits>

#include <cub/device/device_radix_sort.cuh>

#include "float_order.cuh"
#include "interval.cuh"
#include "ops.hpp"
#include "scratch.cuh"

namespace mpp::kernels::cuda {
namespace {

constexpr unsigned block_width = 256;
constexpr std::uint32_t excluded = ~0U;

__global__ void key_kernel(const std::int16_t* dots, std::size_t n, const Half* scale, const float* block_offset,
                           const float* bias, const std::uint64_t* allowed, float step, float least,
                           std::uint32_t* keys, std::uint32_t* rows, unsigned long long* count) {
  const std::size_t row = std::size_t{blockIdx.x} * block_width + threadIdx.x;
  bool counts = row < n && (allowed[row / block_rows] >> (row % block_rows) & 1U) != 0;
  if (row < n) {
    const float mid = row_midpoint(row_base(block_offset, bias, row), device_float(scale[row]), step, dots[row]);
    counts = counts && mid >= least;  // not for NaN
    keys[row] = counts ? ~ordered_bits(mid) : excluded;
    rows[row] = static_cast<std::uint32_t>(row);
  }
  const int in_block = __syncthreads_count(counts);
  if (threadIdx.x == 0 && in_block != 0) atomicAdd(count, static_cast<unsigned long long>(in_block));
}

__global__ void collect_kernel(const std::uint32_t* keys, const std::uint32_t* rows, std::size_t n, Candidate* best) {
  const std::size_t i = std::size_t{blockIdx.x} * block_width + threadIdx.x;
  if (i < n) best[i] = {float_of_order(~keys[i]), rows[i]};
}

}  // namespace

std::size_t best_midpoints(const Context& context, std::span<const std::int16_t> dots, const BlockRows& rows,
                           const ScoreFrame& frame, std::span<Candidate> best, float least) {
  constexpr const char* operation = "best_midpoints";
  const std::size_t n = dots.size();
  if (n == 0 || best.empty()) return 0;
  const Scratch<std::uint32_t> keys(context, n, operation), sorted_keys(context, n, operation);
  const Scratch<std::uint32_t> numbers(context, n, operation), sorted_numbers(context, n, operation);
  const DeviceValue<unsigned long long> count(context, operation);
  const cudaStream_t stream = stream_of(context);
  key_kernel<<<grid_of(n, block_width, operation), block_width, 0, stream>>>(
      dots.data(), n, rows.factors.scale.data(), rows.block_offset.data(),
      rows.bias.empty() ? nullptr : rows.bias.data(), rows.allowed.data(), frame.step,
      std::max(least, std::numeric_limits<float>::lowest()), keys.get(), numbers.get(), count.get());
  check_launch(operation);
  with_cub_storage(context, operation, [&](void* storage, std::size_t& bytes) {
    return cub::DeviceRadixSort::SortPairs(storage, bytes, keys.get(), sorted_keys.get(), numbers.get(),
                                           sorted_numbers.get(), static_cast<std::int64_t>(n), 0, 32, stream);
  });
  const std::size_t kept = std::min(best.size(), static_cast<std::size_t>(count.read()));
  if (kept == 0) return 0;
  collect_kernel<<<grid_of(kept, block_width, operation), block_width, 0, stream>>>(
      sorted_keys.get(), sorted_numbers.get(), kept, best.data());
  check_launch(operation);
  finish(context, operation);
  return kept;
}

}  // namespace mpp::kernels::cuda

// One launch for all pieces: a row of blocks to each piece, whose threads move 16 bytes at a time, 4 loads before the first
// store. Pinned host memory has the same address on both sides (unified addressing), so a kernel that reads it, or writes it,
// is a copy over the bus; many warps with several loads under way are what such a copy needs.
#include <algorithm>
#include <limits>

#include "ops.hpp"
#include "scratch.cuh"

namespace mpp::kernels::cuda {
namespace {

constexpr unsigned block_width = 256;
constexpr unsigned together = 4;
constexpr std::size_t block_bytes = std::size_t{block_width} * together * sizeof(uint4);  // in one turn
constexpr std::size_t most_blocks = 64;                                                   // of one piece

__device__ bool aligned(const CopyItem& item) {
  const auto bits = reinterpret_cast<std::uintptr_t>(item.source) | reinterpret_cast<std::uintptr_t>(item.target);
  return bits % sizeof(uint4) == 0;
}

__global__ void __launch_bounds__(block_width) copy_kernel(const CopyItem* items) {
  const CopyItem item = items[blockIdx.x];
  const std::size_t stride = std::size_t{gridDim.y} * block_width;
  const std::size_t first = std::size_t{blockIdx.y} * block_width + threadIdx.x;
  const std::size_t wide = aligned(item) ? item.bytes / sizeof(uint4) : 0;
  const auto* const from = reinterpret_cast<const uint4*>(item.source);
  auto* const to = reinterpret_cast<uint4*>(item.target);
  for (std::size_t i = first; i < wide; i += together * stride) {
    uint4 moved[together];
#pragma unroll
    for (unsigned k = 0; k < together; ++k)
      if (i + k * stride < wide) moved[k] = from[i + k * stride];
#pragma unroll
    for (unsigned k = 0; k < together; ++k)
      if (i + k * stride < wide) to[i + k * stride] = moved[k];
  }
  for (std::size_t i = wide * sizeof(uint4) + first; i < item.bytes; i += stride) item.target[i] = item.source[i];
}

}  // namespace

void paged_copy(const Context& context, std::span<const CopyItem> items) {
  constexpr const char* operation = "paged_copy";
  std::size_t most = 0;
  for (const CopyItem& item : items) most = std::max(most, item.bytes);
  if (most == 0) return;
  const Scratch<CopyItem> list(context, items.size(), operation);
  check(cudaMemcpyAsync(list.get(), items.data(), items.size_bytes(), cudaMemcpyHostToDevice, stream_of(context)),
        operation);
  const auto blocks = static_cast<unsigned>(std::min(most_blocks, (most + block_bytes - 1) / block_bytes));
  copy_kernel<<<dim3(grid_of(items.size(), 1, operation), blocks), block_width, 0, stream_of(context)>>>(list.get());
  check_launch(operation);
  finish(context, operation);
}

}  // namespace mpp::kernels::cuda

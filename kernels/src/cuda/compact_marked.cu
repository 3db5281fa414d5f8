// A running sum of the words' set bits tells where the rows of each word go; then a thread owns a word. Words are few, 8
// bytes for 64 rows, and most are empty. The sum over all is looked at before anything is written: the output has a
// size of its own, and writing past it would corrupt memory.
#include <thrust/iterator/transform_iterator.h>
#include <cub/device/device_scan.cuh>

#include "ops.hpp"
#include "scratch.cuh"

namespace mpp::kernels::cuda {
namespace {

constexpr unsigned block_width = 256;

struct CountBits {
  __device__ unsigned long long operator()(std::uint64_t word) const {
    return static_cast<unsigned long long>(__popcll(word));
  }
};

__global__ void write_kernel(const std::uint64_t* marked, const unsigned long long* end, std::size_t words,
                             std::uint32_t* rows) {
  const std::size_t word = std::size_t{blockIdx.x} * block_width + threadIdx.x;
  if (word >= words) return;
  std::uint32_t* out = rows + end[word];
  // From the highest bit down, as the sum tells the end.
  for (std::uint64_t bits = marked[word]; bits != 0;) {
    const int highest = 63 - __clzll(static_cast<long long>(bits));
    *--out = static_cast<std::uint32_t>(word * block_rows) + static_cast<std::uint32_t>(highest);
    bits ^= std::uint64_t{1} << highest;
  }
}

}  // namespace

void compact_marked(const Context& context, std::span<const std::uint64_t> marked, std::span<std::uint32_t> rows) {
  constexpr const char* operation = "compact_marked";
  const cudaStream_t stream = stream_of(context);
  const std::size_t words = marked.size();
  const Scratch<unsigned long long> end(context, words, operation);
  unsigned long long set = 0;
  if (words != 0) {
    with_cub_storage(context, operation, [&](void* storage, std::size_t& bytes) {
      return cub::DeviceScan::InclusiveSum(storage, bytes, thrust::make_transform_iterator(marked.data(), CountBits{}),
                                           end.get(), static_cast<std::int64_t>(words), stream);
    });
    check(cudaMemcpyAsync(&set, end.get() + words - 1, sizeof(set), cudaMemcpyDeviceToHost, stream), operation);
    finish(context, operation);
  }
  expects<ShapeError>(set == rows.size(), "compact_marked: rows has ", rows.size(), " values, but ", set,
                      " bits are set");
  if (set == 0) return;
  write_kernel<<<grid_of(words, block_width, operation), block_width, 0, stream>>>(marked.data(), end.get(), words,
                                                                                   rows.data());
  check_launch(operation);
  finish(context, operation);
}

}  // namespace mpp::kernels::cuda

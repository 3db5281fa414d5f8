// Row numbers are a counting sequence from which CUB keeps those whose bit is set; its selection preserves the order.
// The set bits are counted first: the output has a size of its own, and writing past it would corrupt memory.
#include <thrust/iterator/counting_iterator.h>
#include <cub/device/device_reduce.cuh>
#include <cub/device/device_select.cuh>
#include <cuda/std/functional>

#include "ops.hpp"
#include "scratch.cuh"

namespace mpp::kernels::cuda {
namespace {

struct CountBits {
  __device__ unsigned long long operator()(std::uint64_t word) const {
    return static_cast<unsigned long long>(__popcll(word));
  }
};

struct IsMarked {
  const std::uint64_t* words;
  __device__ bool operator()(std::uint32_t row) const {
    return (words[row / block_rows] >> (row % block_rows) & 1U) != 0;
  }
};

}  // namespace

void compact_marked(const Context& context, std::span<const std::uint64_t> marked, std::span<std::uint32_t> rows) {
  constexpr const char* operation = "compact_marked";
  const cudaStream_t stream = stream_of(context);
  const DeviceValue<unsigned long long> count(context, operation);
  with_cub_storage(context, operation, [&](void* storage, std::size_t& bytes) {
    return cub::DeviceReduce::TransformReduce(storage, bytes, marked.data(), count.get(),
                                              static_cast<std::int64_t>(marked.size()), ::cuda::std::plus<>{},
                                              CountBits{}, 0ULL, stream);
  });
  const unsigned long long set = count.read();
  expects<ShapeError>(set == rows.size(), "compact_marked: rows has ", rows.size(), " values, but ", set,
                      " bits are set");
  if (set == 0) return;
  with_cub_storage(context, operation, [&](void* storage, std::size_t& bytes) {
    return cub::DeviceSelect::If(storage, bytes, thrust::counting_iterator<std::uint32_t>(0), rows.data(), count.get(),
                                 static_cast<std::int64_t>(marked.size() * block_rows), IsMarked{marked.data()},
                                 stream);
  });
  finish(context, operation);
}

}  // namespace mpp::kernels::cuda

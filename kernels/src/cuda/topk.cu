// CUB's merge sort by the very comparison that defines our rankings, so ties, zeros of both signs and infinities come
// out as on the CPU. Rankings are made of survivors, hundreds or thousands of items: a radix sort, which would need
// two passes of 64 bits and a transformation of the scores, starts to pay only far above that.
#include <algorithm>

#include <cub/device/device_merge_sort.cuh>

#include "ops.hpp"
#include "scratch.cuh"

namespace mpp::kernels::cuda {
namespace {

struct RanksBefore {
  __device__ bool operator()(const Scored& a, const Scored& b) const { return ranks_before(a, b); }
};

}  // namespace

std::size_t topk(const Context& context, std::span<Scored> items, std::size_t k) {
  constexpr const char* operation = "topk";
  const std::size_t kept = std::min(k, items.size());
  if (kept == 0) return 0;
  with_cub_storage(context, operation, [&](void* storage, std::size_t& bytes) {
    return cub::DeviceMergeSort::SortKeys(storage, bytes, items.data(), static_cast<std::int64_t>(items.size()),
                                          RanksBefore{}, stream_of(context));
  });
  finish(context, operation);
  return kept;
}

}  // namespace mpp::kernels::cuda

// A block takes a run of pages of one read, and all queries of the group, 8 at a time; each of its warps takes every fourth
// page, alone: while it computes logits, the values of the page are on their way into shared memory, and while it adds up
// values, the keys of its next page. At the end the sums of the 4 warps become one, and a second kernel merges the runs, both
// in the order of pages. How a read is cut into runs depends on its number of pages alone: no result depends on the other
// reads.
#include <algorithm>

#include "attend_runs.cuh"
#include "attend_walk.cuh"
#include "ops.hpp"
#include "scratch.cuh"

namespace mpp::kernels::cuda {
namespace {

template <unsigned steps, unsigned groups>
__global__ void __launch_bounds__(run_width, steps == 8            ? 1
                                             : steps * groups == 4 ? 3
                                                                   : 2)
    attend_kernel(const __grid_constant__ Batch batch, Runs runs, FirstFault* fault) {
  extern __shared__ __align__(16) std::byte memory[];
  auto& block = *reinterpret_cast<Block<steps, groups>*>(memory);
  const KvRead& read = batch.read[blockIdx.y];
  const unsigned first_head = blockIdx.z * 4 * groups;
  const auto pages = static_cast<unsigned>(read.page_count), length = static_cast<unsigned>(pages_of_run(pages));
  const unsigned first = blockIdx.x * length, end = min(first + length, pages);
  if (first >= pages) return;
  const unsigned read_number = batch.first + blockIdx.y;
  bool fine = true;
  for (unsigned page = first + threadIdx.x; page < end; page += run_width) {
    if (check_levels(read.pages[page]) == PageFault::none) continue;
    fine = false;
    fault->report(read_number, page, ReadFault::malformed);
  }
  if (__syncthreads_or(!fine)) return;  // nothing of it may be touched
  load_queries<steps, groups>(batch.shape, read.queries, read_number, first_head, block, fault);
  Walk<steps, groups> walk(batch.shape, read, read_number, first_head, block, fault);
#pragma unroll
  for (unsigned group = 0; group < groups; ++group) walk.max_logit[group] = -std::numeric_limits<float>::infinity();
  walk.run(first, end);
  __syncthreads();
  merge_warps<steps, groups>(batch.shape, first_head, walk.max_logit, walk.total, walk.output, memory, runs);
}

template <unsigned steps, unsigned groups>
void launch(const Context& context, const Batch& batch, const Runs& runs, FirstFault* fault) {
  constexpr const char* operation = "attend_paged";
  constexpr auto bytes = static_cast<int>(std::max(sizeof(Block<steps, groups>), sizeof(WarpSums<steps, groups>)));
  const auto kernel = attend_kernel<steps, groups>;
  check(cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, bytes), operation);
  // Without this the driver may leave room for fewer blocks than registers allow.
  check(cudaFuncSetAttribute(kernel, cudaFuncAttributePreferredSharedMemoryCarveout, cudaSharedmemCarveoutMaxShared),
        operation);
  const auto head_blocks = static_cast<unsigned>((batch.shape.group + 4 * groups - 1) / (4 * groups));
  kernel<<<dim3(runs.most, batch.count, head_blocks), run_width, bytes, stream_of(context)>>>(batch, runs, fault);
  check_launch(operation);
}

template <unsigned steps>
void launch(const Context& context, const Batch& batch, const Runs& runs, FirstFault* fault) {
  batch.shape.group <= 4 ? launch<steps, 1>(context, batch, runs, fault)
                         : launch<steps, 2>(context, batch, runs, fault);
}

void expects_none(const FirstFault& first) {
  if (first.none()) return;
  const auto say = [&](const auto&... rest) { return text("attend_paged: read ", first.read(), ": ", rest...); };
  switch (first.fault()) {
    case ReadFault::query:
      throw ValueError(say("query ", first.at(), " times the scale has a norm that is not a finite number below 2^60"));
    case ReadFault::malformed:
      throw ShapeError(say("page ", first.at(), " has levels that its pointers, its number of tokens or what it was ",
                           "made of do not allow"));
    case ReadFault::stale:
      throw StalePage(
          say("page ", first.at(), " is of another generation than its reader expects: it was freed since"));
    case ReadFault::empty:
      throw ShapeError(say("all pages are omitted, expected at least one that is read"));
  }
}

}  // namespace

void attend_paged(const Context& context, const AttendShape& shape, std::span<const KvRead> reads) {
  constexpr const char* operation = "attend_paged";
  const DeviceValue<FirstFault> fault(context, operation, 0xFF);
  for (std::size_t first = 0; first < reads.size(); first += max_batch) {
    Batch batch{.shape = shape, .count = 0, .first = static_cast<unsigned>(first)};
    std::size_t most = 0;
    for (const KvRead& read : reads.subspan(first, std::min(max_batch, reads.size() - first))) {
      batch.read[batch.count++] = read;
      most = std::max(most, run_count(read.page_count));
    }
    const std::size_t rows = batch.count * most * shape.group;
    const Scratch<double> sums(context, rows + (rows * (shape.head_dim + 1) + 1) / 2, operation);
    auto* const floats = reinterpret_cast<float*>(sums.get() + rows);
    const Runs runs{floats, floats + rows * shape.head_dim, sums.get(), static_cast<unsigned>(most)};
    if (shape.head_dim <= 64)
      launch<2>(context, batch, runs, fault.get());
    else if (shape.head_dim <= 128)
      launch<4>(context, batch, runs, fault.get());
    else
      launch<8>(context, batch, runs, fault.get());
    merge_kernel<<<dim3(static_cast<unsigned>(shape.group), batch.count), static_cast<unsigned>(shape.head_dim), 0,
                   stream_of(context)>>>(batch, runs, fault.get());
    check_launch(operation);
  }
  expects_none(fault.read());
}

}  // namespace mpp::kernels::cuda

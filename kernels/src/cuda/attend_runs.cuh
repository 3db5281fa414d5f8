#pragma once
// How reads are cut into runs of pages for the blocks of attend_paged(), and how the sums of warps and of runs become one:
// always in the order of pages.
#include "attend_codes.cuh"
#include "read_batch.cuh"

namespace mpp::kernels::cuda {

/// Runs of a read at most, and pages of one at least: a warp has a few pages to amortise the start of its block over, and the
/// sums of runs are a few per cent of what is read.
inline constexpr std::size_t max_runs = 32;
inline constexpr std::size_t least_run = 2 * run_warps;

__host__ __device__ constexpr std::size_t pages_of_run(std::size_t page_count) {
  const std::size_t pages = (page_count + max_runs - 1) / max_runs;
  return pages < least_run ? least_run : pages;
}
constexpr std::size_t run_count(std::size_t page_count) {
  return (page_count + pages_of_run(page_count) - 1) / pages_of_run(page_count);
}

/// Sums of all runs, [reads][most][group]: output [head_dim] and total are relative to e^max_logit.
struct Runs {
  float* output;
  float* max_logit;
  double* total;
  unsigned most;
  __device__ std::size_t at(const AttendShape& shape, unsigned read, unsigned run, unsigned head) const {
    return (std::size_t{read} * most + run) * shape.group + head;
  }
};

/// Of the warps of a block, in the memory of its pages.
template <unsigned steps, unsigned groups>
struct WarpSums {
  float output[run_warps][4 * groups][32 * steps];
  float max_logit[run_warps][4 * groups];
  double total[run_warps][4 * groups];
};

/// Factor of sums relative to e^max_logit among sums relative to e^largest. Of nothing it is 0.
__device__ inline float share_of(float max_logit, float largest) {
  return max_logit == -std::numeric_limits<float>::infinity() ? 0.0F : expf(max_logit - largest);
}

/// The sums of the warps of this block become those of its run. All warps have left their buffers.
template <unsigned steps, unsigned groups>
__device__ void merge_warps(const AttendShape& shape, unsigned first_head, const float (&max_logit)[groups],
                            const double (&total)[groups], const Outputs<steps, groups>& output, std::byte* memory,
                            const Runs& runs) {
  auto& sums = *reinterpret_cast<WarpSums<steps, groups>*>(memory);
  const unsigned lane = threadIdx.x % warp, of = threadIdx.x / warp;
#pragma unroll
  for (unsigned group = 0; group < groups; ++group) {
    const unsigned head = 4 * group + lane % 4;
    if (lane < 4) sums.max_logit[of][head] = max_logit[group], sums.total[of][head] = total[group];
#pragma unroll
    for (unsigned b = 0; b < steps; ++b)
#pragma unroll
      for (unsigned c = 0; c < 4; ++c)
        sums.output[of][head][32 * b + lane / 4 * 2 + c / 2 * 16 + c % 2] = output[group][b][c];
  }
  __syncthreads();
  const unsigned heads = min(4 * groups, static_cast<unsigned>(shape.group) - first_head);
  for (unsigned i = threadIdx.x; i < heads * 32 * steps; i += run_width) {
    const unsigned head = i / (32 * steps), channel = i % (32 * steps);
    float largest = sums.max_logit[0][head];
    for (unsigned w = 1; w < run_warps; ++w) largest = fmaxf(largest, sums.max_logit[w][head]);
    float out = 0.0F;
    double all = 0.0;
    for (unsigned w = 0; w < run_warps; ++w) {
      const float share = share_of(sums.max_logit[w][head], largest);
      out = fmaf(share, sums.output[w][head][channel], out);
      all += static_cast<double>(share) * sums.total[w][head];
    }
    const std::size_t row = runs.at(shape, blockIdx.y, blockIdx.x, first_head + head);
    if (channel < shape.head_dim) runs.output[row * shape.head_dim + channel] = out;
    if (channel == 0) runs.max_logit[row] = largest, runs.total[row] = all;
  }
}

/// One block a head and read, one thread a channel.
static __global__ void merge_kernel(const __grid_constant__ Batch batch, Runs runs, FirstFault* fault) {
  const KvRead& read = batch.read[blockIdx.y];
  const unsigned head = blockIdx.x, channel = threadIdx.x;
  const auto dim = static_cast<unsigned>(batch.shape.head_dim);
  const std::size_t length = pages_of_run(read.page_count);
  const auto count = static_cast<unsigned>((read.page_count + length - 1) / length);
  float largest = -std::numeric_limits<float>::infinity();
  for (unsigned run = 0; run < count; ++run)
    largest = fmaxf(largest, runs.max_logit[runs.at(batch.shape, blockIdx.y, run, head)]);
  float out = 0.0F;
  double total = 0.0;
#pragma unroll 8
  for (unsigned run = 0; run < count; ++run) {
    const std::size_t row = runs.at(batch.shape, blockIdx.y, run, head);
    const float share = share_of(runs.max_logit[row], largest);
    out = fmaf(share, runs.output[row * dim + channel], out);
    total += static_cast<double>(share) * runs.total[row];
  }
  if (channel == 0) {
    if (!(total > 0.0) && !isnan(total)) fault->report(batch.first + blockIdx.y, FirstFault::last, ReadFault::empty);
    read.log_sum_exp[head] = static_cast<double>(largest) + log(total);
  }
  read.output[head * dim + channel] = static_cast<float>(static_cast<double>(out) / total);
}

}  // namespace mpp::kernels::cuda

#pragma once
// What a block of attend_paged() has in shared memory: the buffers of its warps, and its queries in the layouts that both
// kinds of second operands want.
#include "attend_exact.cuh"
#include "read_batch.cuh"

namespace mpp::kernels::cuda {

template <unsigned steps, unsigned groups>
struct Block {
  PageBuffers<steps, groups> buffers[run_warps];
  alignas(16) float4 query[groups][steps][warp];                 // times the scale, as code_query() wants it
  alignas(16) uint2 exact_query[2 * groups * 2 * steps * warp];  // as multiply_exact_keys() wants it, times 2^-exponent
  float length[4 * groups];                                      // norm of the query times the scale
  float exact_unit[4 * groups];
};

// The queries of a block, in the layouts of both operands.
template <unsigned steps, unsigned groups>
__device__ void load_queries(const AttendShape& shape, const float* queries, unsigned read_number, unsigned first_head,
                             Block<steps, groups>& block, FirstFault* fault) {
  const unsigned lane = threadIdx.x % warp;
  const auto dim = static_cast<unsigned>(shape.head_dim);
  const bool bfloat = shape.type == KvType::bfloat16;
  const auto number = [&](unsigned head, unsigned channel) {
    const bool there = first_head + head < shape.group && channel < dim;
    return there ? queries[(first_head + head) * dim + channel] : 0.0F;
  };
  for (unsigned head = threadIdx.x / warp; head < 4 * groups; head += run_warps) {
    float largest = 0.0F;
    double square = 0.0;
    for (unsigned channel = lane; channel < dim; channel += warp) {
      const float q = number(head, channel);
      largest = fmaxf(largest, fabsf(shape.scale * q));
      square += static_cast<double>(q) * static_cast<double>(q);
    }
#pragma unroll
    for (unsigned step = warp / 2; step > 0; step /= 2) {
      largest = fmaxf(largest, __shfl_xor_sync(~0U, largest, step));
      square += __shfl_xor_sync(~0U, square, step);
    }
    if (lane != 0) continue;
    const double norm = sqrt(square) * static_cast<double>(shape.scale);
    if (!(norm < 0x1p60)) fault->report(read_number, first_head + head, ReadFault::query);
    int exponent = 0;
    if (largest > 0.0F) frexpf(largest, &exponent);
    // The largest number becomes one of [2^14, 2^15) in float16, of [1/2, 1) in bfloat16. Below 2^-100 nothing counts.
    block.exact_unit[head] = ldexpf(1.0F, max(exponent, -100) - (bfloat ? 0 : 15));
    block.length[head] = static_cast<float>(norm) * radius_slack;
  }
  __syncthreads();
  for (unsigned i = threadIdx.x; i < groups * steps * warp; i += run_width) {
    const unsigned of_lane = i % warp, s = i / warp % steps, group = i / warp / steps;
    float numbers[4];
#pragma unroll
    for (unsigned j = 0; j < 4; ++j)
      numbers[j] = shape.scale * number(4 * group + of_lane / 8, 8 * (4 * s + of_lane % 4) + row_of(of_lane, j));
    block.query[group][s][of_lane] = {numbers[0], numbers[1], numbers[2], numbers[3]};
  }
  for (unsigned i = threadIdx.x; i < (bfloat ? 2 : 1) * groups * 2 * steps * warp; i += run_width) {
    const unsigned of_lane = i % warp, s = i / warp % (2 * steps), group = i / warp / (2 * steps) % groups;
    const unsigned head = 4 * group + of_lane / 8, part = i / warp / (2 * steps) / groups * 2 + of_lane / 4 % 2;
    float numbers[4];
#pragma unroll
    for (unsigned j = 0; j < 4; ++j)
      numbers[j] = shape.scale * number(head, 16 * s + 4 * (of_lane % 4) + j) / block.exact_unit[head];
    block.exact_query[i] = bfloat ? operand_of<true>(numbers, part) : operand_of<false>(numbers, part);
  }
  __syncthreads();
}

}  // namespace mpp::kernels::cuda

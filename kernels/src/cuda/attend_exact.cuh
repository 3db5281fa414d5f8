#pragma once
// Exact pages on the tensor cores, which multiply 16-bit floats exactly and add in float. What 16-bit keys are multiplied
// with is split: a query, or a weight, is the sum of two float16 numbers to within 2^-22 of itself, or of three bfloat16
// numbers to within 2^-24. Two of them are neighbouring columns of the second operand, (head, part), as in attend_codes.cuh.
//
// The tensor cores align what they add to the largest number and cut the rest off. Each product of tiles therefore starts
// from 0, and its 16 products are added to the sum so far by ordinary additions: the cut is then one of the largest product,
// not of the sum.
#include <type_traits>

#include <cuda_bf16.h>

#include "attend_codes.cuh"

namespace mpp::kernels::cuda {

/// Of a sum of products on the tensor cores, in units of the sum of their magnitudes: 17 numbers, each cut by 2^-22 of the
/// largest, the parts that queries and weights are split into, and ordinary additions of up to 16 tiles.
inline constexpr float tensor_core_error = (17.0F * 4.0F + 5.0F + 16.0F) * 0x1p-24F;

/// Part `part` of two numbers, as bits.
template <bool bfloat>
__device__ inline std::uint32_t part_of(float2 numbers, unsigned part) {
  using Pair = std::conditional_t<bfloat, __nv_bfloat162, __half2>;
  std::uint32_t parts[3];
#pragma unroll
  for (unsigned k = 0; k < (bfloat ? 3 : 2); ++k) {
    Pair rounded;
    float2 of;
    if constexpr (bfloat)
      rounded = __float22bfloat162_rn(numbers), of = __bfloat1622float2(rounded);
    else
      rounded = __float22half2_rn(numbers), of = __half22float2(rounded);
    parts[k] = reinterpret_cast<const std::uint32_t&>(rounded);
    numbers = {numbers.x - of.x, numbers.y - of.y};
  }
  if constexpr (bfloat) return part == 0 ? parts[0] : part == 1 ? parts[1] : part == 2 ? parts[2] : 0U;
  return part == 0 ? parts[0] : parts[1];
}
/// Pairs of columns that one number takes.
template <bool bfloat>
inline constexpr unsigned column_pairs = bfloat ? 2 : 1;

/// The second operand for four numbers, which lane t of a group multiplies.
template <bool bfloat>
__device__ inline uint2 operand_of(const float (&numbers)[4], unsigned part) {
  return {part_of<bfloat>({numbers[0], numbers[1]}, part), part_of<bfloat>({numbers[2], numbers[3]}, part)};
}
/// Weights are at most 1: multiplied by this, those that count have two full parts.
template <bool bfloat>
inline constexpr float weight_unit = bfloat ? 1.0F : 0x1p15F;

/// Adds to the logits of the lane's tokens 4 n, 4 n + 1 of this half, in the order of multiply_keys().
/// query: [column_pairs][groups][2 * steps][warp].  half: 0 or 1.
template <bool bfloat, unsigned half, unsigned steps, unsigned groups>
__device__ void multiply_exact_keys(const std::byte* keys, unsigned lane, const uint2* query,
                                    float (&logits)[groups][8]) {
  using Shape = PageShape<steps>;
  const std::byte* const at = keys + lane / 4 * Shape::exact_row + lane % 4 * 8;
#pragma unroll
  for (unsigned group = 0; group < groups; ++group)
#pragma unroll
    for (unsigned n = 0; n < 2; ++n) logits[group][2 * half + n] = 0.0F, logits[group][4 + 2 * half + n] = 0.0F;
#pragma unroll
  for (unsigned s = 0; s < 2 * steps; ++s)
#pragma unroll
    for (unsigned n = 0; n < 2; ++n) {
      const uint2 upper = *reinterpret_cast<const uint2*>(at + 16 * n * Shape::exact_row + 32 * s);
      const uint2 lower = *reinterpret_cast<const uint2*>(at + (16 * n + 8) * Shape::exact_row + 32 * s);
      const std::uint32_t numbers[4] = {upper.x, lower.x, upper.y, lower.y};
#pragma unroll
      for (unsigned group = 0; group < groups; ++group)
#pragma unroll
        for (unsigned pair = 0; pair < column_pairs<bfloat>; ++pair) {
          float sums[4];
          multiply_floats<bfloat>(sums, numbers, query[((pair * groups + group) * 2 * steps + s) * warp + lane]);
          logits[group][2 * half + n] += sums[0] + sums[1];
          logits[group][4 + 2 * half + n] += sums[2] + sums[3];
        }
    }
}

/// output += factor * sum of w_i v_i over the tokens of one quarter.  weights: [groups][4][row], float.
template <bool bfloat, unsigned steps, unsigned groups, unsigned row>
__device__ void add_exact_values(const std::byte* values, unsigned quarter, unsigned lane,
                                 const float (&weights)[groups][4][row], const float (&factor)[groups],
                                 Outputs<steps, groups>& output) {
  using Shape = PageShape<steps>;
  uint2 operand[groups][column_pairs<bfloat>];
#pragma unroll
  for (unsigned group = 0; group < groups; ++group) {
    const float* const of = weights[group][lane / 8] + quarter * quarter_page + lane % 4;
    const float numbers[4] = {weight_unit<bfloat> * of[0], weight_unit<bfloat> * of[4], weight_unit<bfloat> * of[8],
                              weight_unit<bfloat> * of[12]};
#pragma unroll
    for (unsigned pair = 0; pair < column_pairs<bfloat>; ++pair)
      operand[group][pair] = operand_of<bfloat>(numbers, 2 * pair + lane / 4 % 2);
  }
  const std::byte* const at = values + lane % 4 * Shape::exact_row + lane / 4 * 4;
#pragma unroll
  for (unsigned b = 0; b < steps; ++b) {
    float added[groups][4] = {};
    std::uint32_t two[2][4];  // channels 2 g and 16 + 2 g, each with the next, of the tokens t + 0, 4, 8, 12
#pragma unroll
    for (unsigned k = 0; k < 4; ++k)
#pragma unroll
      for (unsigned part = 0; part < 2; ++part)
        two[part][k] = *reinterpret_cast<const std::uint32_t*>(at + 4 * k * Shape::exact_row + 64 * b + 32 * part);
#pragma unroll
    for (unsigned n = 0; n < 2; ++n) {
      const unsigned order = n == 0 ? 0x5410 : 0x7632;
      const std::uint32_t numbers[4] = {
          __byte_perm(two[0][0], two[0][1], order), __byte_perm(two[1][0], two[1][1], order),
          __byte_perm(two[0][2], two[0][3], order), __byte_perm(two[1][2], two[1][3], order)};
#pragma unroll
      for (unsigned group = 0; group < groups; ++group)
#pragma unroll
        for (unsigned pair = 0; pair < column_pairs<bfloat>; ++pair) {
          float sums[4];
          multiply_floats<bfloat>(sums, numbers, operand[group][pair]);
          added[group][n] += sums[0] + sums[1];
          added[group][2 + n] += sums[2] + sums[3];
        }
    }
#pragma unroll
    for (unsigned group = 0; group < groups; ++group)
#pragma unroll
      for (unsigned c = 0; c < 4; ++c)
        output[group][b][c] = fmaf(factor[group], added[group][c] / weight_unit<bfloat>, output[group][b][c]);
  }
}

}  // namespace mpp::kernels::cuda

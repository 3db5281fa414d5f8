#pragma once
// Pages of codes on the tensor cores: a query rounded to integers times key codes, weights rounded to integers times value
// codes. Codes are the first operand, 16 columns of a plane by 32 of its rows: a word is 8 rows of one column, and its even
// and odd nibbles are two registers of 4 bytes each,
//
//   rows (2, 6, 3, 7) of the 8: word >> 4 & 0x0F0F0F0F      rows (0, 4, 1, 5): word & 0x0F0F0F0F
//
// so nothing moves between lanes. What they are multiplied with is split into a high and a low byte, and the 8 columns of the
// second operand are (head, byte) for 4 heads: lane 4 g + t prepares head g / 2 there, and finds the sums of head t.
#include "attend_buffers.cuh"
#include "src/attend_terms.hpp"

namespace mpp::kernels::cuda {

/// The same value for all lanes of a head: those with the same g / 2.
template <class T, class Combine>
__device__ T over_query_lanes(T value, Combine combine) {
#pragma unroll
  for (unsigned step = 1; step <= 4; step *= 2) value = combine(value, __shfl_xor_sync(~0U, value, step));
  return value;
}
template <class T>
__device__ T sum_of_query_lanes(T value) {
  return over_query_lanes(value, [](T a, T b) { return a + b; });
}

/// Over all g: lanes of the sums of one head.
template <class T, class Combine>
__device__ T over_sum_lanes(T value, Combine combine) {
#pragma unroll
  for (unsigned step = 4; step <= 16; step *= 2) value = combine(value, __shfl_xor_sync(~0U, value, step));
  return value;
}
template <class T>
__device__ T sum_of_sum_lanes(T value) {
  return over_sum_lanes(value, [](T a, T b) { return a + b; });
}
/// What the lanes that prepare head t hold, for those that find its sums.
template <class T>
__device__ T for_sum_lanes(T value, unsigned lane) {
  return __shfl_sync(~0U, value, lane % 4 * 8);
}

/// Channel, within the 8 of a word, of number j of a lane that prepares queries, in the order of the bytes of a register.
__device__ inline unsigned row_of(unsigned lane, unsigned j) { return j % 2 * 4 + j / 2 + (lane / 4 % 2 == 0 ? 2 : 0); }

/// Bytes `byte` (0 or 1) of four numbers.
__device__ inline std::uint32_t bytes_of(const int (&numbers)[4], unsigned byte) {
  const unsigned two = byte == 0 ? 0x0040 : 0x0051;
  return __byte_perm(__byte_perm(numbers[0], numbers[1], two), __byte_perm(numbers[2], numbers[3], two), 0x5410);
}

/// One query and one page, in the lanes that prepare it. See cpu/attend_codes-inl.hpp: the integers are the same.
struct PageQuery {
  float unit;      // u: q'_j is about u Q_j
  int code_sum;    // sum of Q_j
  float base;      // q . zero + 128 sum of q'_j
  float absolute;  // sum of |q'_j|
  float length;    // norm of q'
};

/// query: of the lane for each step, times the scale.  codes: second operands of multiply_signed().
template <unsigned steps>
__device__ PageQuery code_query(const float4* query, const Metadata<steps>& metadata, unsigned lane,
                                std::uint32_t (&codes)[steps][2]) {
  const unsigned odd = lane / 4 % 2;
  float folded[steps][4];
  float largest = 0.0F, base = 0.0F, absolute = 0.0F;
#pragma unroll
  for (unsigned s = 0; s < steps; ++s) {
    const unsigned pair = 4 * (4 * s + lane % 4) + 1 - odd;  // rows 0, 1 and 4, 5, or 2, 3 and 6, 7
    const float2 step_a = metadata.pair(0, pair), step_b = metadata.pair(0, pair + 2);
    const float2 zero_a = metadata.pair(1, pair), zero_b = metadata.pair(1, pair + 2);
    const float4 q = query[s * warp + lane];
    const float number[4] = {q.x, q.y, q.z, q.w};
    const float step[4] = {step_a.x, step_b.x, step_a.y, step_b.y};
    const float zero[4] = {zero_a.x, zero_b.x, zero_a.y, zero_b.y};
#pragma unroll
    for (unsigned j = 0; j < 4; ++j) {
      const float fold = number[j] * step[j];
      folded[s][j] = fold;
      largest = fmaxf(largest, fabsf(fold));
      base = fmaf(number[j], fmaf(128.0F, step[j], zero[j]), base);
      absolute += fabsf(fold);
    }
  }
  largest = over_query_lanes(largest, [](float a, float b) { return fmaxf(a, b); });
  base = sum_of_query_lanes(base);
  absolute = sum_of_query_lanes(absolute);
  const float unit = largest * (1.0F / query_code_end);
  const float per_unit = largest > least_query_end ? query_code_end / largest : 0.0F;
  float square = 0.0F;  // in units: squares of a small query would underflow
  int code_sum = 0;
#pragma unroll
  for (unsigned s = 0; s < steps; ++s) {
    int code[4], carried[4];
#pragma unroll
    for (unsigned j = 0; j < 4; ++j) {
      const float units = folded[s][j] * per_unit;
      square = fmaf(units, units, square);
      code[j] = __float2int_rn(units);
      carried[j] = code[j] + 128;  // Q = 256 * high + low, low a signed byte
      code_sum += code[j];
    }
    // This lane has both bytes of one register and needs one byte of both: its neighbour has the other one.
    const std::uint32_t high = bytes_of(carried, 1), low = bytes_of(code, 0);
    const std::uint32_t other = __shfl_xor_sync(~0U, odd == 0 ? low : high, 4);
    codes[s][0] = odd == 0 ? high : other;  // of rows 2, 6, 3, 7
    codes[s][1] = odd == 0 ? other : low;
  }
  return {unit, sum_of_query_lanes(code_sum), base, absolute, unit * sqrtf(sum_of_query_lanes(square))};
}

/// Two registers of the first operand for one word of a column.
template <bool wide>  // 8 bits
__device__ inline void take_apart(std::uint32_t high, std::uint32_t low, std::uint32_t& rows_2637,
                                  std::uint32_t& rows_0415) {
  constexpr std::uint32_t upper = 0xF0F0F0F0U, lower = 0x0F0F0F0FU;
  rows_2637 = wide ? select_bits(upper, high, low >> 4) : high >> 4 & lower;
  rows_0415 = wide ? select_bits(upper, high << 4, low) : high & lower;
}

template <unsigned n>
__device__ inline std::uint32_t word_of(const uint4& words) {
  return n == 0 ? words.x : n == 1 ? words.y : n == 2 ? words.z : words.w;
}

/// dots[.][n] of the lane's head: token 4 g + n for n < 4, else token 32 + 4 g + n - 4.
template <bool wide, unsigned steps, unsigned groups>
__device__ void multiply_keys(const std::byte* keys, unsigned lane, const std::uint32_t (&query)[groups][steps][2],
                              int (&dots)[groups][8]) {
  using Shape = PageShape<steps>;
  int sums[groups][4][4] = {};
  const std::byte* const at = keys + lane % 4 * Shape::key_row + lane / 4 * 16;
#pragma unroll
  for (unsigned s = 0; s < steps; ++s) {
    const auto load = [&](unsigned plane, unsigned first_token) {
      return *reinterpret_cast<const uint4*>(at + plane * Shape::key_plane + 4 * s * Shape::key_row + 4 * first_token);
    };
    const uint4 high[2] = {load(0, 0), load(0, half_page)};
    uint4 low[2] = {};
    if constexpr (wide) low[0] = load(1, 0), low[1] = load(1, half_page);
    const auto tile = [&]<unsigned n>() {
      std::uint32_t codes[4];
      take_apart<wide>(word_of<n>(high[0]), word_of<n>(low[0]), codes[0], codes[2]);
      take_apart<wide>(word_of<n>(high[1]), word_of<n>(low[1]), codes[1], codes[3]);
#pragma unroll
      for (unsigned group = 0; group < groups; ++group) multiply_signed(sums[group][n], codes, query[group][s]);
    };
    tile.template operator()<0>();
    tile.template operator()<1>();
    tile.template operator()<2>();
    tile.template operator()<3>();
  }
#pragma unroll
  for (unsigned group = 0; group < groups; ++group)
#pragma unroll
    for (unsigned n = 0; n < 4; ++n) {
      dots[group][n] = 256 * sums[group][n][0] + sums[group][n][1];
      dots[group][4 + n] = 256 * sums[group][n][2] + sums[group][n][3];
    }
}

/// Weights of one head as bytes, [2][tokens]: high bytes, then low ones. Of the 8 tokens of the lane, see multiply_keys().
/// @return the sum of the integers
__device__ inline int store_weight_codes(const float (&weights)[8], unsigned lane, std::uint32_t* bytes) {
  int sum = 0;
#pragma unroll
  for (unsigned part = 0; part < 2; ++part) {
    int code[4];
#pragma unroll
    for (unsigned n = 0; n < 4; ++n) {
      code[n] = __float2int_rn(weights[4 * part + n] * weight_code_end);
      sum += code[n];
    }
    bytes[8 * part + lane / 4] = bytes_of(code, 1);
    bytes[tokens_of_page / 4 + 8 * part + lane / 4] = bytes_of(code, 0);
  }
  return sum_of_sum_lanes(sum);
}

/// bytes: of head g / 2.  codes: second operands of multiply_unsigned() for both halves of a page.
__device__ inline void load_weight_codes(const std::uint32_t* bytes, unsigned lane, std::uint32_t (&codes)[2][2]) {
  const unsigned first = lane / 4 % 2 * (tokens_of_page / 4) + lane % 4 * 2;
#pragma unroll
  for (unsigned part = 0; part < 2; ++part) {
    const uint2 rows = *reinterpret_cast<const uint2*>(bytes + first + 8 * part);
    codes[part][0] = __byte_perm(rows.x, rows.y, 0x7362);  // rows 2, 6, 3, 7
    codes[part][1] = __byte_perm(rows.x, rows.y, 0x5140);  // rows 0, 4, 1, 5
  }
}

/// The lane's channels in block b of 32: 2 g, 2 g + 1, 16 + 2 g, 17 + 2 g.
template <unsigned steps, unsigned groups>
using Outputs = float[groups][steps][4];

/// output += factor * sum of P_i v~_i, of the lane's head: of all tokens, or of one half of them at 8 bits, the first of which
/// takes the zeros and half steps of all.
template <bool wide, unsigned steps, unsigned groups>
__device__ void add_coded_values(const std::byte* values, unsigned half, const Metadata<steps>& metadata, unsigned lane,
                                 const std::uint32_t (&weights)[groups][2][2], const int (&weight_sum)[groups],
                                 const float (&factor)[groups], Outputs<steps, groups>& output) {
  using Shape = PageShape<steps>;
  constexpr float level_step = wide ? 1.0F : 16.0F;
  constexpr unsigned parts = wide ? 1 : 2;
  const std::byte* const at = values + lane % 4 * Shape::value_row + lane / 4 * 8;
#pragma unroll
  for (unsigned b = 0; b < steps; ++b) {
    int sums[groups][2][4] = {};
#pragma unroll
    for (unsigned part = 0; part < parts; ++part) {
      const auto load = [&](unsigned plane, unsigned channel) {
        return *reinterpret_cast<const uint2*>(at + 4 * (plane + part) * Shape::value_row + 4 * (32 * b + channel));
      };
      const uint2 high[2] = {load(0, 0), load(0, 16)};
      uint2 low[2] = {};
      if constexpr (wide) low[0] = load(1, 0), low[1] = load(1, 16);
#pragma unroll
      for (unsigned n = 0; n < 2; ++n) {
        std::uint32_t codes[4];
        take_apart<wide>(n == 0 ? high[0].x : high[0].y, n == 0 ? low[0].x : low[0].y, codes[0], codes[2]);
        take_apart<wide>(n == 0 ? high[1].x : high[1].y, n == 0 ? low[1].x : low[1].y, codes[1], codes[3]);
#pragma unroll
        for (unsigned group = 0; group < groups; ++group) {
          const auto& weight = weights[group];
          if constexpr (wide) {
            const std::uint32_t of_half[2] = {half == 0 ? weight[0][0] : weight[1][0],
                                              half == 0 ? weight[0][1] : weight[1][1]};
            multiply_unsigned(sums[group][n], codes, of_half);
          } else {
            multiply_unsigned(sums[group][n], codes, weight[part]);
          }
        }
      }
    }
    const unsigned pair = 16 * b + lane / 4;
    const float2 step[2] = {metadata.pair(2, pair), metadata.pair(2, pair + 8)};
    const float2 zero[2] = {metadata.pair(3, pair), metadata.pair(3, pair + 8)};
    const float steps_of[4] = {level_step * step[0].x, level_step * step[0].y, level_step * step[1].x,
                               level_step * step[1].y};
    const float zeros[4] = {zero[0].x, zero[0].y, zero[1].x, zero[1].y};
#pragma unroll
    for (unsigned group = 0; group < groups; ++group)
#pragma unroll
      for (unsigned c = 0; c < 4; ++c) {
        const int* const sum = sums[group][c % 2] + c / 2 * 2;
        const float coded = steps_of[c] * static_cast<float>(256 * sum[0] + sum[1]);
        const float shifted = fmaf(0.5F, steps_of[c], zeros[c]) * static_cast<float>(half == 0 ? weight_sum[group] : 0);
        output[group][b][c] = fmaf(factor[group], coded + shifted, output[group][b][c]);
      }
  }
}

}  // namespace mpp::kernels::cuda

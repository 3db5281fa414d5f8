#pragma once
// The formula of ScoreFrame for one row. Directed rounding makes every term of the half-width an upper bound of what
// it stands for, also under the square root, where q2 - cosine^2 may cancel; what is left to frame.relative and
// frame.slack is the rounding of the midpoint. A term that is not a number never narrows: all comparisons that
// decide something are written so that NaN means "keep".
#include <mpp/kernels/interval.hpp>

#include "signs.cuh"

namespace mpp::kernels::cuda {

__device__ inline float row_midpoint(float base, float scale, float step, int dot) {
  return base + scale * (step * static_cast<float>(dot));
}

/// Offset of the row's block plus, for L2, its own bias.
__device__ inline float row_base(const float* block_offset, const float* bias, std::size_t row) {
  const float offset = block_offset[row / block_rows];
  return bias == nullptr ? offset : offset + bias[row];
}

/// Lower and upper score around a midpoint base + move, which the sums enter rounded down and up.
__device__ inline ScoreInterval around(float base, float move, float half_width) {
  return {__fsub_rd(__fadd_rd(base, move), half_width), __fadd_ru(__fadd_ru(base, move), half_width)};
}

__device__ inline void intersect(const ScoreInterval& other, ScoreInterval& interval) {
  if (other.lower > interval.lower) interval.lower = other.lower;
  if (other.upper < interval.upper) interval.upper = other.upper;
}

/// The randomized interval. The row and its code enclose an angle with cosine rho, 1 / rho^2 = 1 + r^2 / (a n)^2, and
///   q . y = (q . code) / rho^2 -+ (r / rho) ||q orthogonal to y|| |X|.
/// The stored factors err by 2^-11 (a), 2^-10 (r) and 2^-10 (n), so that r^2 / (a n)^2 errs by less than 2^-7 of
/// itself. That needs r in the normal range of Half: below it the deterministic interval stands alone.
__device__ inline ScoreInterval randomized_interval(float base, float move, float query_part, float scale,
                                                    float residual, float norm, const ScoreFrame& frame) {
  const float ratio = __fdiv_ru(residual, __fmul_rd(scale, norm));
  const float excess = __fmul_ru(ratio, ratio);
  const float widen = __fadd_ru(1.0F, __fmul_ru(excess, 1.0F + 0x1p-7F));
  const float center = move * (1.0F + excess);
  const float moved = __fmul_ru(fabsf(move), __fmul_ru(excess, 0x1p-7F));
  const float coded = __fmul_ru(__fadd_ru(query_part, __fmul_ru(fabsf(move), frame.relative)), widen);
  const float spread = __fmul_ru(__fmul_ru(residual, __fsqrt_ru(__fmul_ru(widen, frame.q2))), frame.tail);
  return around(base, center, __fadd_ru(__fadd_ru(__fadd_ru(spread, coded), moved), frame.slack));
}

/// What the interval of a row has in common for every part of the query along the code.
struct CodedTerms {
  float move, query_error, query_part, coded;
};
__device__ inline CodedTerms coded_terms(int dot, float scale, float norm, const ScoreFrame& frame) {
  const float move = scale * (frame.step * static_cast<float>(dot));
  const float query_error = fminf(frame.e1, __fmul_ru(frame.e2, norm));
  // The exact least-squares scale is up to 1 + 2^-11 times the stored one, for the query's rounding as for the rest.
  const float query_part = __fmul_ru(__fmul_ru(scale, query_error), __fadd_ru(1.0F, frame.relative));
  return {move, query_error, query_part, __fadd_ru(query_part, __fmul_ru(fabsf(move), frame.relative))};
}

/// @param spread  up: length of the part of the query orthogonal to the code
__device__ inline ScoreInterval deterministic_interval(float base, float residual, float spread,
                                                       const CodedTerms& terms, const ScoreFrame& frame) {
  return around(base, terms.move, __fadd_ru(__fadd_ru(__fmul_ru(residual, spread), terms.coded), frame.slack));
}

/// scale, residual and norm as in PlaneFactors.
__device__ inline ScoreInterval score_interval(int dot, float base, float scale, float residual, float norm,
                                               const CodedTerms& terms, const ScoreFrame& frame) {
  const float projection = __fsub_rd(__fmul_rd(frame.step, fabsf(__int2float_rz(dot))), terms.query_error);
  const float cosine = __fdiv_rd(projection > 0.0F ? projection : 0.0F, norm);
  const float orthogonal = __fsub_ru(frame.q2, __fmul_rd(cosine, cosine));
  const float spread = __fsqrt_ru(orthogonal < 0.0F ? 0.0F : orthogonal);
  ScoreInterval interval = deterministic_interval(base, residual, spread, terms, frame);
  if (frame.tail > 0.0F && residual >= 0x1p-14F)
    intersect(randomized_interval(base, terms.move, terms.query_part, scale, residual, norm, frame), interval);
  return interval;
}

}  // namespace mpp::kernels::cuda

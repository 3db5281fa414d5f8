// A page of codes: logits from key planes, and weighted sums of value planes, for up to 8 queries at once.
#if defined(MPP_KERNELS_ATTEND_CODES_INL) == defined(HWY_TARGET_TOGGLE)
#ifdef MPP_KERNELS_ATTEND_CODES_INL
#undef MPP_KERNELS_ATTEND_CODES_INL
#else
#define MPP_KERNELS_ATTEND_CODES_INL
#endif

#include <algorithm>

#include "src/cpu/attend_softmax-inl.hpp"
#include "src/cpu/plane_dot-inl.hpp"

HWY_BEFORE_NAMESPACE();
namespace mpp::kernels::cpu::HWY_NAMESPACE {

// A query rounded to integers for one page.
struct PageQuery {
  float unit;             // u: q'_j is about u Q_j
  std::int32_t code_sum;  // sum of Q_j
  float base;             // q . zero + 128 sum of q'_j
};

// What the radius of a page is made of: its summary, and the level of its keys.
struct PageRadius {
  float residual;     // of the level, in steps of the level
  float spread;       // the same of all tokens together
  float level_step;   // steps of the 8-bit level in one of the level
  float query_error;  // times u: what rounding the query to integers costs
  float arithmetic;   // times the norm of the query
};

HWY_INLINE void store_codes(hn::Vec<Float> numbers, std::int16_t* HWY_RESTRICT at, hn::Vec<Int32>& sum) {
  const auto codes = hn::NearestInt(numbers);
  const hn::Rebind<std::int16_t, Int32> i16;
  hn::StoreU(hn::DemoteTo(i16, codes), i16, at);
  sum = hn::Add(sum, codes);
}

// query: [head_dim], times the scale.  step, zero: [head_dim].  codes: [head_dim].  radius: null if not wanted.
HWY_INLINE PageQuery code_query(const float* HWY_RESTRICT query, const float* HWY_RESTRICT step,
                                const float* HWY_RESTRICT zero, std::size_t head_dim, float query_norm,
                                const PageRadius& page, std::int16_t* HWY_RESTRICT codes, float* radius,
                                float* spread) {
  const Float f32;
  const Int32 i32;
  const std::size_t lanes = hn::Lanes(f32);
  HWY_ALIGN float folded[max_head_dim];
  auto largest = hn::Zero(f32);
  auto base = hn::Zero(f32);
  auto sum = hn::Zero(f32);
  auto absolute = hn::Zero(f32);
  for (std::size_t c = 0; c < head_dim; c += lanes) {
    const auto q = hn::LoadU(f32, query + c);
    const auto fold = hn::Mul(q, hn::LoadU(f32, step + c));
    hn::StoreU(fold, f32, folded + c);
    largest = hn::Max(largest, hn::Abs(fold));
    base = hn::MulAdd(q, hn::LoadU(f32, zero + c), base);
    sum = hn::Add(sum, fold);
    absolute = hn::Add(absolute, hn::Abs(fold));
  }
  const float end = hn::GetLane(hn::MaxOfLanes(f32, largest));
  const float unit = end / query_code_end;
  const auto per_unit = hn::Set(f32, end > least_query_end ? query_code_end / end : 0.0F);
  auto code_sum = hn::Zero(i32);
  auto square = hn::Zero(f32);  // in units: squares of a small query would underflow
  for (std::size_t c = 0; c < head_dim; c += lanes) {
    const auto units = hn::Mul(hn::LoadU(f32, folded + c), per_unit);
    square = hn::MulAdd(units, units, square);
    store_codes(units, codes + c, code_sum);
  }
  if (radius != nullptr) {
    const float half_steps = 0.5F * hn::GetLane(hn::SumOfLanes(f32, absolute));
    const float norm = unit * std::sqrt(hn::GetLane(hn::SumOfLanes(f32, square)));
    const float residual = norm * page.residual;
    // min() alone would let a page without any bound pass for one of half a step.
    const float coded =
        page.residual <= std::numeric_limits<float>::max() ? std::min(half_steps, residual) : page.residual;
    const float rounding = unit * page.query_error + query_norm * page.arithmetic;
    *radius = (coded * page.level_step + rounding) * radius_slack + arithmetic_floor;
    *spread = std::min(page_root * *radius,
                       (norm * page.spread * page.level_step + page_root * rounding) * radius_slack + arithmetic_floor);
  }
  return {unit, hn::GetLane(hn::SumOfLanes(i32, code_sum)),
          hn::GetLane(hn::SumOfLanes(f32, base)) + 128.0F * hn::GetLane(hn::SumOfLanes(f32, sum))};
}

// logit = constant + factor * (dot - subtract) for the tokens of a page.
HWY_INLINE void logits_of_dots(const std::int32_t* HWY_RESTRICT dots, std::int32_t subtract, float factor,
                               float constant, float* HWY_RESTRICT logits) {
  const Float f32;
  const Int32 i32;
  for (std::size_t i = 0; i < page_tokens; i += hn::Lanes(f32)) {
    const auto dot = hn::ConvertTo(f32, hn::Sub(hn::LoadU(i32, dots + i), hn::Set(i32, subtract)));
    hn::StoreU(hn::MulAdd(hn::Set(f32, factor), dot, hn::Set(f32, constant)), f32, logits + i);
  }
}

// logit += factor * dot: what the fine plane adds.
HWY_INLINE void add_dots(const std::int32_t* HWY_RESTRICT dots, float factor, float* HWY_RESTRICT logits) {
  const Float f32;
  for (std::size_t i = 0; i < page_tokens; i += hn::Lanes(f32)) {
    const auto dot = hn::ConvertTo(f32, hn::LoadU(Int32(), dots + i));
    hn::StoreU(hn::MulAdd(hn::Set(f32, factor), dot, hn::LoadU(f32, logits + i)), f32, logits + i);
  }
}

// Weights rounded to integers. @return their sum
HWY_INLINE std::int32_t code_weights(const float* HWY_RESTRICT weights, std::int16_t* HWY_RESTRICT codes) {
  const Float f32;
  const Int32 i32;
  auto sum = hn::Zero(i32);
  for (std::size_t i = 0; i < page_tokens; i += hn::Lanes(f32))
    store_codes(hn::Mul(hn::LoadU(f32, weights + i), hn::Set(f32, weight_code_end)), codes + i, sum);
  return hn::GetLane(hn::SumOfLanes(i32, sum));
}

// output += share * sum over tokens of weight * value, from the dots of the weight codes.
// level_step: steps of the 8-bit level in one of the level
HWY_INLINE void add_values(const std::int32_t* HWY_RESTRICT dots, std::int32_t code_sum, float share, float level_step,
                           const float* HWY_RESTRICT step, const float* HWY_RESTRICT zero, std::size_t head_dim,
                           float* HWY_RESTRICT output) {
  const Float f32;
  const float unit = share / weight_code_end;
  const auto per_step = hn::Set(f32, unit * level_step);
  const auto half_step = hn::Set(f32, 0.5F * level_step);
  const auto all = hn::Set(f32, unit * static_cast<float>(code_sum));
  for (std::size_t c = 0; c < head_dim; c += hn::Lanes(f32)) {
    const auto width = hn::LoadU(f32, step + c);
    const auto dot = hn::ConvertTo(f32, hn::LoadU(Int32(), dots + c));
    const auto sum = hn::MulAdd(hn::Mul(width, per_step), dot, hn::LoadU(f32, output + c));
    hn::StoreU(hn::MulAdd(all, hn::MulAdd(width, half_step, hn::LoadU(f32, zero + c)), sum), f32, output + c);
  }
}

}  // namespace mpp::kernels::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();
#endif

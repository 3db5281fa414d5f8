// The online softmax of a group of queries over pages: what each page adds, and the running sums.
#if defined(MPP_KERNELS_ATTEND_SOFTMAX_INL) == defined(HWY_TARGET_TOGGLE)
#ifdef MPP_KERNELS_ATTEND_SOFTMAX_INL
#undef MPP_KERNELS_ATTEND_SOFTMAX_INL
#else
#define MPP_KERNELS_ATTEND_SOFTMAX_INL
#endif

#include <hwy/highway.h>

#include <cmath>
#include <cstdint>
#include <limits>

#include "src/attend_terms.hpp"
#include "src/cpu/plane_dot-inl.hpp"

HWY_BEFORE_NAMESPACE();
namespace mpp::kernels::cpu::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

using Float = hn::CappedTag<float, 16>;

HWY_INLINE hn::Vec<Float> load_half(const Half* at) {
  const hn::Rebind<hwy::float16_t, Float> half;
  return hn::PromoteTo(Float(), hn::LoadU(half, reinterpret_cast<const hwy::float16_t*>(at)));
}

// e^x for x in [least_exponent, 0], within 2^-21 of itself (2^-22 with fused products, a little more without): x = n ln 2 + r,
// |r| <= 0.35, and the series of e^r to r^6, whose rest is below 2^-22. n ln 2 is subtracted in two parts, the first exact.
HWY_INLINE hn::Vec<Float> exp_of(hn::Vec<Float> x) {
  const Float f32;
  const Int32 i32;
  const auto n = hn::Round(hn::Mul(x, hn::Set(f32, 1.44269504F)));
  auto r = hn::NegMulAdd(n, hn::Set(f32, 0x1.62E4p-1F), x);
  r = hn::NegMulAdd(n, hn::Set(f32, 0x1.7F7D1Cp-20F), r);
  auto sum = hn::MulAdd(r, hn::Set(f32, 1.0F / 720.0F), hn::Set(f32, 1.0F / 120.0F));
  sum = hn::MulAdd(r, sum, hn::Set(f32, 1.0F / 24.0F));
  sum = hn::MulAdd(r, sum, hn::Set(f32, 1.0F / 6.0F));
  sum = hn::MulAdd(r, sum, hn::Set(f32, 0.5F));
  sum = hn::MulAdd(r, sum, hn::Set(f32, 1.0F));
  sum = hn::MulAdd(r, sum, hn::Set(f32, 1.0F));
  // Times 2^n, n >= -126: into the exponent.
  return hn::BitCast(f32, hn::Add(hn::BitCast(i32, sum), hn::ShiftLeft<23>(hn::ConvertTo(i32, n))));
}

// One query: the running maximum, the sum of weights relative to it, and the output so far, [head_dim].
struct Running {
  float max_logit = -std::numeric_limits<float>::infinity();
  double total = 0.0;
};

// What a page of `page_tokens` logits adds for one query. Tokens that are not there have logit -infinity and norm 0.
struct PageWeights {
  float max_logit;
  float mass;
  float energy;
};

// logits: [page_tokens], become weights e^(logit - max).  squares: of the norms of values; null, if no energy is wanted.
HWY_INLINE PageWeights weigh(float* HWY_RESTRICT logits, std::size_t tokens, const float* HWY_RESTRICT squares) {
  const Float f32;
  const std::size_t lanes = hn::Lanes(f32);
  auto largest = hn::LoadU(f32, logits);
  for (std::size_t i = lanes; i < page_tokens; i += lanes) largest = hn::Max(largest, hn::LoadU(f32, logits + i));
  const float max_logit = hn::GetLane(hn::MaxOfLanes(f32, largest));
  const auto origin = hn::Set(f32, max_logit);
  const auto least = hn::Set(f32, least_exponent);
  auto mass = hn::Zero(f32);
  auto energy = hn::Zero(f32);
  for (std::size_t i = 0; i < page_tokens; i += lanes) {
    // In this order Max of x86 hands on a logit that is not a number, and the output says so.
    auto weight = exp_of(hn::Max(least, hn::Sub(hn::LoadU(f32, logits + i), origin)));
    if (tokens < i + lanes) weight = hn::IfThenElseZero(hn::FirstN(f32, tokens < i ? 0 : tokens - i), weight);
    hn::StoreU(weight, f32, logits + i);
    mass = hn::Add(mass, weight);
    if (squares != nullptr) energy = hn::MulAdd(hn::LoadU(f32, squares + i), weight, energy);
  }
  return {max_logit, hn::GetLane(hn::SumOfLanes(f32, mass)), hn::GetLane(hn::SumOfLanes(f32, energy))};
}

// Takes a page into the running sums. @return what its weights count for, relative to the maximum so far
HWY_INLINE float admit(const PageWeights& page, Running& running, float* HWY_RESTRICT output, std::size_t head_dim) {
  if (page.max_logit > running.max_logit) {
    const Float f32;
    const float shrink = std::exp(running.max_logit - page.max_logit);
    const auto factor = hn::Set(f32, shrink);
    for (std::size_t c = 0; c < head_dim; c += hn::Lanes(f32))
      hn::StoreU(hn::Mul(factor, hn::LoadU(f32, output + c)), f32, output + c);
    running.total *= static_cast<double>(shrink);
    running.max_logit = page.max_logit;
  }
  const float share = std::exp(page.max_logit - running.max_logit);
  running.total += static_cast<double>(share) * static_cast<double>(page.mass);
  return share;
}

}  // namespace mpp::kernels::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();
#endif

// The online softmax of a group of queries over pages: what each page adds, and the running sums.
#if defined(MPP_KERNELS_ATTEND_SOFTMAX_INL) == defined(HWY_TARGET_TOGGLE)
#ifdef MPP_KERNELS_ATTEND_SOFTMAX_INL
#undef MPP_KERNELS_ATTEND_SOFTMAX_INL
#else
#define MPP_KERNELS_ATTEND_SOFTMAX_INL
#endif

#include <hwy/contrib/math/math-inl.h>
#include <hwy/highway.h>

#include <cmath>
#include <cstdint>
#include <limits>

#include "src/attend_terms.hpp"

HWY_BEFORE_NAMESPACE();
namespace mpp::kernels::cpu::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

using Float = hn::CappedTag<float, 16>;

HWY_INLINE hn::Vec<Float> load_half(const Half* at) {
  const hn::Rebind<hwy::float16_t, Float> half;
  return hn::PromoteTo(Float(), hn::LoadU(half, reinterpret_cast<const hwy::float16_t*>(at)));
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

// logits: [page_tokens], become weights e^(logit - max).  norms: null, if no energy is wanted.
HWY_INLINE PageWeights weigh(float* HWY_RESTRICT logits, std::size_t tokens, const Half* HWY_RESTRICT norms) {
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
    auto weight = hn::Exp(f32, hn::Max(hn::Sub(hn::LoadU(f32, logits + i), origin), least));
    if (tokens < i + lanes) weight = hn::IfThenElseZero(hn::FirstN(f32, tokens < i ? 0 : tokens - i), weight);
    hn::StoreU(weight, f32, logits + i);
    mass = hn::Add(mass, weight);
    if (norms != nullptr) {
      const auto norm = load_half(norms + i);
      energy = hn::MulAdd(hn::Mul(norm, norm), weight, energy);
    }
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

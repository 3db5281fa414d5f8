// A page of exact 16-bit numbers: logits and weighted sums in float, for up to 8 queries at once. Lanes are channels, for keys
// and for values; 8 sums at a time are kept in registers.
#if defined(MPP_KERNELS_ATTEND_EXACT_INL) == defined(HWY_TARGET_TOGGLE)
#ifdef MPP_KERNELS_ATTEND_EXACT_INL
#undef MPP_KERNELS_ATTEND_EXACT_INL
#else
#define MPP_KERNELS_ATTEND_EXACT_INL
#endif

#include <hwy/cache_control.h>
#include <hwy/highway.h>

#include <cstdint>

HWY_BEFORE_NAMESPACE();
namespace mpp::kernels::cpu::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

using Octet = hn::CappedTag<float, 8>;

template <bool brain>
HWY_INLINE hn::Vec<Octet> load_exact(const std::uint16_t* at) {
  using Stored = std::conditional_t<brain, hwy::bfloat16_t, hwy::float16_t>;
  const hn::Rebind<Stored, Octet> stored;
  return hn::PromoteTo(Octet(), hn::LoadU(stored, reinterpret_cast<const Stored*>(at)));
}

// Adds up neighbours: with 4 lanes per block, two calls turn the sums of 4 registers into one of 4 sums.
HWY_INLINE hn::Vec<Octet> fold_halves(hn::Vec<Octet> a, hn::Vec<Octet> b) {
  const Octet f32;
  return hn::Add(hn::InterleaveLower(f32, a, b), hn::InterleaveUpper(f32, a, b));
}
HWY_INLINE hn::Vec<Octet> fold_pairs(hn::Vec<Octet> a, hn::Vec<Octet> b) {
  const Octet f32;
  const hn::Repartition<double, Octet> f64;
  const auto x = hn::BitCast(f64, a);
  const auto y = hn::BitCast(f64, b);
  return hn::Add(hn::BitCast(f32, hn::InterleaveLower(f64, x, y)), hn::BitCast(f32, hn::InterleaveUpper(f64, x, y)));
}

// sums[i] = the sum of the lanes of registers[i], i < 8.
HWY_INLINE void sum_lanes(const hn::Vec<Octet> (&registers)[8], float* HWY_RESTRICT sums) {
  const Octet f32;
  const auto first = fold_pairs(fold_halves(registers[0], registers[1]), fold_halves(registers[2], registers[3]));
  const auto second = fold_pairs(fold_halves(registers[4], registers[5]), fold_halves(registers[6], registers[7]));
  if constexpr (hn::MaxLanes(f32) == 8) {
    hn::StoreU(hn::Add(hn::ConcatLowerLower(f32, second, first), hn::ConcatUpperUpper(f32, second, first)), f32, sums);
  } else {
    hn::StoreU(first, f32, sums);
    hn::StoreU(second, f32, sums + 4);
  }
}

// queries: [count][head_dim], times the scale    logits: [count][page_tokens]    tokens that are not there get nothing
template <std::size_t count, bool brain>
void exact_logits(const std::uint16_t* HWY_RESTRICT keys, const std::uint16_t* next, std::size_t tokens,
                  const float* HWY_RESTRICT queries, std::size_t head_dim, float* HWY_RESTRICT logits) {
  constexpr std::size_t together = 8 / count;  // tokens
  const Octet f32;
  const std::size_t lanes = hn::Lanes(f32);
  for (std::size_t i = 0; i < tokens; i += together) {
    const std::size_t last = tokens - 1;  // past the end the last token is read again
    hn::Vec<Octet> sum[8];
    for (auto& s : sum) s = hn::Zero(f32);
    const std::uint16_t* row[together];
    for (std::size_t t = 0; t < together; ++t) row[t] = keys + (i + t < last ? i + t : last) * head_dim;
    for (std::size_t c = 0; c < head_dim; c += lanes)
      for (std::size_t t = 0; t < together; ++t) {
        if (c % 32 == 0) hwy::Prefetch(next + (i + t) * head_dim + c);
        const auto key = load_exact<brain>(row[t] + c);
        for (std::size_t g = 0; g < count; ++g)
          sum[t * count + g] = hn::MulAdd(key, hn::LoadU(f32, queries + g * head_dim + c), sum[t * count + g]);
      }
    float sums[8];
    sum_lanes(sum, sums);
    for (std::size_t t = 0; t < together && i + t < tokens; ++t)
      for (std::size_t g = 0; g < count; ++g) logits[g * page_tokens + i + t] = sums[t * count + g];
  }
}

// output[g][c] += share[g] * sum over tokens of weights[g][token] * values[token][c]
template <std::size_t count, bool brain>
void exact_values(const std::uint16_t* HWY_RESTRICT values, const std::uint16_t* next, std::size_t tokens,
                  const float* HWY_RESTRICT weights, const float* HWY_RESTRICT share, std::size_t head_dim,
                  float* HWY_RESTRICT output) {
  constexpr std::size_t vectors = count == 1 ? 4 : count <= 4 ? 2 : 1;
  const Octet f32;
  const std::size_t lanes = hn::Lanes(f32);
  for (std::size_t c = 0; c < head_dim; c += lanes * vectors) {
    hn::Vec<Octet> sum[count][vectors];
    for (std::size_t g = 0; g < count; ++g)
      for (std::size_t v = 0; v < vectors; ++v) sum[g][v] = hn::Zero(f32);
    for (std::size_t i = 0; i < tokens; ++i) {
      if (c % 32 == 0) hwy::Prefetch(next + i * head_dim + c);
      hn::Vec<Octet> value[vectors];
      for (std::size_t v = 0; v < vectors; ++v) value[v] = load_exact<brain>(values + i * head_dim + c + v * lanes);
      for (std::size_t g = 0; g < count; ++g) {
        const auto weight = hn::Set(f32, weights[g * page_tokens + i]);
        for (std::size_t v = 0; v < vectors; ++v) sum[g][v] = hn::MulAdd(weight, value[v], sum[g][v]);
      }
    }
    for (std::size_t g = 0; g < count; ++g)
      for (std::size_t v = 0; v < vectors; ++v) {
        float* at = output + g * head_dim + c + v * lanes;
        hn::StoreU(hn::MulAdd(hn::Set(f32, share[g]), sum[g][v], hn::LoadU(f32, at)), f32, at);
      }
  }
}

}  // namespace mpp::kernels::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();
#endif

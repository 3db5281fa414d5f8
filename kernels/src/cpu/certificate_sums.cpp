// The statistics of one head in one pass, 4 pages to a register of AVX2, all in double.
//
// Per page two exponentials, a root and a division: with h = e^(c/2) - 1 and left = e^(-c/2) = 1/(1 + h), f = h left is
// 1 - left, e^c - 1 = h (h + 2) and cosh(c/2) - 1 = h f / 2. Nothing is subtracted, so relative errors only add up
// (certificate_slack). Registers with a page that is omitted, not there or not a number are filled page by page.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "src/cpu/certificate_sums.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>
//
#include <hwy/contrib/math/math-inl.h>

#include "src/certificate_terms.hpp"
#include "src/cpu/certificate_lanes.hpp"
#include "src/cpu/ops.hpp"

HWY_BEFORE_NAMESPACE();
namespace mpp::kernels::cpu::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

PageTotals AddPages(const HeadStatistics& head, const AttendRounding& rounding) {
  const hn::CappedTag<double, certificate_lanes> d;
  const hn::Rebind<float, decltype(d)> floats;
  using V = hn::Vec<decltype(d)>;
  const std::size_t lanes = hn::Lanes(d);
  const V zero = hn::Zero(d), one = hn::Set(d, 1.0), two = hn::Set(d, 2.0), half = hn::Set(d, 0.5);
  const V log_sum = hn::Set(d, head.log_sum_exp), least = hn::Set(d, least_certificate_exponent);
  const V least_page_mass = hn::Set(d, least_mass), most_half = hn::Set(d, largest_half_radius);
  const V floor = hn::Set(d, certificate_floor(rounding));
  const V page_weight = hn::Set(d, certificate_page_weight(rounding)), token_weight = hn::Set(d, rounding.token_weight);

  V weight = zero, excess = zero, excess_square = zero, variance = zero, affinity = zero, shrink = zero;
  V lift = zero, lift_below = zero, lift_square = zero, half_cosh_below = zero, half_cosh_square = zero;
  V radius = zero, reach = zero, paged_excess = zero, value_residual = zero;
  V energy = zero, energy_below = zero, output_rounding = zero;
  PageTotals totals;
  CertificateLanes filled;
  for (std::size_t at = 0; at < head.pages; at += lanes) {
    const auto load = [&](const float* from) { return hn::PromoteTo(d, hn::LoadU(floats, from)); };
    HeadStatistics from = head.at(at);
    bool plain = at + lanes <= head.pages;
    if (plain) {
      const auto there = hn::And(hn::Ge(load(from.radius), zero), hn::Ge(load(from.mass), least_page_mass));
      plain = hn::AllTrue(d, hn::And(there, hn::Eq(load(from.max_logit), load(from.max_logit))));
    }
    if (!plain) from = filled.fill(from, lanes, totals);

    const V mass = load(from.mass), c = load(from.radius);
    const V exponent = hn::Sub(load(from.max_logit), log_sum);
    const V share = hn::Exp(d, hn::Min(one, hn::Max(least, exponent)));
    const V t = hn::Mul(share, mass);
    const auto counts = hn::Ge(exponent, least);
    const V t_below = hn::IfThenElseZero(counts, t);
    weight = hn::Add(weight, t_below);

    const V h = hn::Expm1(d, hn::Min(hn::Mul(half, c), most_half));
    const V left = hn::Div(one, hn::Add(one, h));
    const V rise = hn::Mul(h, hn::Add(h, two));
    const V u = hn::Mul(hn::Mul(half, h), hn::Mul(h, left));
    const V half_cosh = hn::Mul(u, hn::Add(u, two));
    const V t_rise = hn::Mul(t, rise), t_h = hn::Mul(t, h), t_u = hn::Mul(t, u), t_left = hn::Mul(t_below, left);
    const V t_half_cosh = hn::Mul(t, half_cosh);
    excess = hn::Add(excess, t_rise);
    excess_square = hn::MulAdd(t_rise, rise, excess_square);
    variance = hn::MulAdd(t_h, h, variance);
    affinity = hn::Add(affinity, t_left);
    shrink = hn::MulAdd(t_left, left, shrink);
    lift = hn::Add(lift, t_u);
    lift_below = hn::MulAdd(t_below, u, lift_below);
    lift_square = hn::MulAdd(t_u, u, lift_square);
    half_cosh_below = hn::MulAdd(t_below, half_cosh, half_cosh_below);
    half_cosh_square = hn::MulAdd(t_half_cosh, half_cosh, half_cosh_square);
    radius = hn::Max(radius, c);

    const V value_norm = load(from.value_reach), page_energy = load(from.energy);
    const V share_reach = hn::Mul(share, value_norm), share_reach_square = hn::Mul(share_reach, value_norm);
    const V most_energy = hn::MulAdd(floor, mass, page_energy);
    const V least_energy = hn::Max(zero, hn::NegMulAdd(floor, mass, page_energy));
    paged_excess = hn::MulAdd(hn::Mul(share_reach, hn::Sqrt(hn::Mul(mass, most_energy))), rise, paged_excess);
    value_residual = hn::MulAdd(t, load(from.value_residual), value_residual);
    energy = hn::MulAdd(share_reach_square, most_energy, energy);
    energy_below = hn::MulAdd(hn::IfThenElseZero(counts, share_reach_square), least_energy, energy_below);
    output_rounding = hn::MulAdd(share_reach, hn::MulAdd(page_weight, mass, token_weight), output_rounding);
    reach = hn::Max(reach, value_norm);
  }
  const auto sum = [&](V v) { return hn::GetLane(hn::SumOfLanes(d, v)); };
  totals.weight = sum(weight);
  totals.excess = sum(excess), totals.excess_square = sum(excess_square), totals.variance = sum(variance);
  totals.affinity = sum(affinity), totals.shrink = sum(shrink);
  totals.lift = sum(lift), totals.lift_below = sum(lift_below), totals.lift_square = sum(lift_square);
  totals.half_cosh_below = sum(half_cosh_below), totals.half_cosh_square = sum(half_cosh_square);
  totals.radius = hn::GetLane(hn::MaxOfLanes(d, radius)), totals.reach = hn::GetLane(hn::MaxOfLanes(d, reach));
  totals.paged_excess = sum(paged_excess), totals.value_residual = sum(value_residual);
  totals.energy = sum(energy), totals.energy_below = sum(energy_below);
  totals.output_rounding = sum(output_rounding);
  return totals;
}

}  // namespace mpp::kernels::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE

namespace mpp::kernels::cpu {

HWY_EXPORT(AddPages);

void certificate_sums(const Context&, const AttendShape& shape, std::span<const KvRead> reads,
                      std::span<CertificateSums> sums) {
  std::size_t head = 0;
  for (const KvRead& read : reads) {
    const AttendRounding rounding = attend_rounding(read.page_count);
    for (std::size_t g = 0; g < shape.group; ++g, ++head) {
      const PageTotals totals = HWY_DYNAMIC_DISPATCH(AddPages)(HeadStatistics(read, g), rounding);
      sums[head] = closed_sums(totals, rounding, read.page_count);
    }
  }
}

}  // namespace mpp::kernels::cpu
#endif

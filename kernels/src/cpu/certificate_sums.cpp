// The statistics of one head in one pass, 4 pages to a register of AVX2, all in double.
//
// Per page two exponentials, a root and a division: with h = e^(c/2) - 1 and left = e^(-c/2) = 1/(1 + h), e^c - 1 is h (h + 2)
// and cosh(c/2) - 1 is h^2 left / 2. Nothing is subtracted, so relative errors only add up (certificate_slack). Registers with
// a page that is omitted, not there or not a number are filled page by page.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "src/cpu/certificate_sums.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "src/certificate_terms.hpp"
#include "src/cpu/certificate_lanes.hpp"
#include "src/cpu/ops.hpp"

HWY_BEFORE_NAMESPACE();
namespace mpp::kernels::cpu::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

// e^x = 2^q e^r, q the integer nearest to x / ln 2, |r| <= ln(2) / 2 + 2^-42. Taylor to r^9: what is left out is at most
// 1.1 |r|^10 / 10! < 2^-36.9. Adding 1.5 * 2^52 rounds to q and leaves q in the lowest bits, where a shift makes it an exponent.
template <class D>
struct Reduced {
  const hn::RebindToSigned<D> bits;
  hn::Vec<D> r, rest;                       // e^r - 1 = r rest
  hn::Vec<hn::RebindToSigned<D>> exponent;  // q << 52

  Reduced(D d, hn::Vec<D> x) {
    const auto magic = hn::Set(d, 0x1.8p52);
    const auto shifted = hn::MulAdd(x, hn::Set(d, 0x1.71547652b82fep0), magic);
    exponent = hn::ShiftLeft<52>(hn::BitCast(bits, shifted));
    r = hn::NegMulAdd(hn::Sub(shifted, magic), hn::Set(d, 0x1.62e42fefa39efp-1), x);
    rest = hn::Set(d, 1.0 / 362880.0);
    for (const double factor : {1.0 / 40320.0, 1.0 / 5040.0, 1.0 / 720.0, 1.0 / 120.0, 1.0 / 24.0, 1.0 / 6.0, 0.5, 1.0})
      rest = hn::MulAdd(rest, r, hn::Set(d, factor));
  }
};

// e^x for x in [-708, 1].
template <class D, class V>
HWY_INLINE V Exponential(D d, V x) {
  const Reduced<D> reduced(d, x);
  const V mantissa = hn::MulAdd(reduced.r, reduced.rest, hn::Set(d, 1.0));
  return hn::BitCast(d, hn::Add(hn::BitCast(reduced.bits, mantissa), reduced.exponent));
}

// e^x - 1 = 2^q (e^r - 1) + (2^q - 1) for x in [0, 700]; r rest itself while q is 0, so that small numbers lose nothing.
template <class D, class V>
HWY_INLINE V ExponentialRise(D d, V x) {
  const Reduced<D> reduced(d, x);
  const V one = hn::Set(d, 1.0);
  const V power = hn::BitCast(d, hn::Add(hn::BitCast(reduced.bits, one), reduced.exponent));
  return hn::MulAdd(hn::Mul(reduced.r, reduced.rest), power, hn::Sub(power, one));
}

PageTotals AddPages(const HeadStatistics& head, const AttendRounding& rounding) {
  const hn::CappedTag<double, certificate_lanes> d;
  const hn::Rebind<float, decltype(d)> floats;
  using V = hn::Vec<decltype(d)>;
  const std::size_t lanes = hn::Lanes(d);
  const V zero = hn::Zero(d), one = hn::Set(d, 1.0), two = hn::Set(d, 2.0), half = hn::Set(d, 0.5);
  const V log_sum = hn::Set(d, head.log_sum_exp), least = hn::Set(d, least_certificate_exponent);
  const V least_page_mass = hn::Set(d, least_mass), most_half = hn::Set(d, largest_half_radius);
  const V floor = hn::Set(d, certificate_floor(rounding));
  const V page_weight = hn::Set(d, certificate_page_weight(rounding));
  const V token_weight = hn::Set(d, rounding.token_weight);
  const auto load = [&](const float* from) { return hn::PromoteTo(d, hn::LoadU(floats, from)); };

  const V root_slack = hn::Set(d, certificate_root(rounding));
  V plain_excess = zero, spread_lift = zero, spread_lift_square = zero, spread_half_cosh_square = zero;
  V spread_sinh = zero;
  V weight = zero, excess = zero, excess_square = zero, variance = zero, affinity = zero, shrink = zero;
  V lift = zero, lift_square = zero, half_cosh_square = zero, radius = zero, reach = zero;
  V paged_excess = zero, value_residual = zero, energy = zero, output_rounding = zero;
  PageTotals totals;
  CertificateLanes filled;
  for (std::size_t at = 0; at < head.pages; at += lanes) {
    HeadStatistics from = head.at(at);
    V mass = zero, c = zero, logit = zero, together = zero, residual = zero, values_together = zero;
    const auto load_page = [&] {
      mass = load(from.mass), c = load(from.radius), logit = load(from.max_logit), together = load(from.spread);
      residual = load(from.value_residual), values_together = load(from.value_spread);
    };
    bool plain = from.pages >= lanes;
    if (plain) {
      load_page();
      const auto sane = hn::And(hn::Ge(c, zero), hn::Ge(mass, least_page_mass));
      const auto of_values = hn::And(hn::Ge(residual, zero), hn::Ge(values_together, zero));
      const auto of_keys = hn::And(hn::Eq(logit, logit), hn::Ge(together, zero));
      plain = hn::AllTrue(d, hn::And(sane, hn::And(of_keys, of_values)));
    }
    if (!plain) {
      from = filled.fill(from, lanes, totals);
      load_page();
    }
    const V share = Exponential(d, hn::Min(one, hn::Max(least, hn::Sub(logit, log_sum))));
    const V t = hn::Mul(share, mass);
    weight = hn::Add(weight, t);

    const V h = ExponentialRise(d, hn::Min(hn::Mul(half, c), most_half));
    const V left = hn::Div(one, hn::Add(one, h));
    const V rise = hn::Mul(h, hn::Add(h, two));
    const V u = hn::Mul(hn::Mul(half, h), hn::Mul(h, left));
    const V half_cosh = hn::Mul(u, hn::Add(u, two));
    const V sinh = hn::Mul(half, hn::MulAdd(hn::Mul(h, left), hn::Add(one, left), rise));
    // The mean radius of the page, at most c. A radius that is not finite makes its terms infinite, or no numbers.
    const V per_root = hn::Div(root_slack, hn::Sqrt(hn::Max(mass, least_page_mass)));
    const V mean = hn::Min(hn::Mul(together, per_root), c);
    const V r = hn::IfThenElse(hn::Gt(c, zero), hn::Div(mean, c), one);
    const V t_r = hn::Mul(t, r), t_rr = hn::Mul(t_r, r), r_rise = hn::Mul(r, rise), r_h = hn::Mul(r, h);
    const V t_u = hn::Mul(t, u), t_rr_u = hn::Mul(t_rr, u);
    excess = hn::MulAdd(t, r_rise, excess);
    excess_square = hn::MulAdd(hn::Mul(t, r_rise), r_rise, excess_square);
    variance = hn::MulAdd(hn::Mul(t, r_h), r_h, variance);
    affinity = hn::MulAdd(t, hn::Max(left, hn::NegMulAdd(half, mean, one)), affinity);
    shrink = hn::MulAdd(t, hn::Max(hn::Mul(left, left), hn::Sub(one, mean)), shrink);
    plain_excess = hn::MulAdd(t, rise, plain_excess);
    lift = hn::Add(lift, t_u);
    lift_square = hn::MulAdd(t_u, u, lift_square);
    half_cosh_square = hn::MulAdd(hn::Mul(t, half_cosh), half_cosh, half_cosh_square);
    spread_lift = hn::Add(spread_lift, t_rr_u);
    spread_lift_square = hn::MulAdd(t_rr_u, u, spread_lift_square);
    spread_half_cosh_square = hn::MulAdd(hn::Mul(t_rr, half_cosh), half_cosh, spread_half_cosh_square);
    spread_sinh = hn::MulAdd(t_r, sinh, spread_sinh);
    radius = hn::Max(radius, c);

    const V value_norm = load(from.value_reach), share_reach = hn::Mul(share, value_norm);
    const V page_energy = hn::MulAdd(floor, mass, load(from.energy));
    paged_excess = hn::MulAdd(hn::Mul(share_reach, hn::Sqrt(hn::Mul(mass, page_energy))), r_rise, paged_excess);
    value_residual = hn::MulAdd(t, hn::Min(hn::Mul(values_together, per_root), residual), value_residual);
    energy = hn::MulAdd(hn::Mul(share_reach, value_norm), page_energy, energy);
    output_rounding =
        hn::MulAdd(share_reach, hn::MulAdd(page_weight, mass, hn::IfThenElseZero(hn::Gt(residual, zero), token_weight)),
                   output_rounding);
    reach = hn::Max(reach, value_norm);
  }
  const auto sum = [&](V v) { return hn::GetLane(hn::SumOfLanes(d, v)); };
  totals.weight = sum(weight);
  totals.excess = sum(excess), totals.excess_square = sum(excess_square), totals.variance = sum(variance);
  totals.affinity = sum(affinity), totals.shrink = sum(shrink);
  totals.lift = sum(lift), totals.lift_square = sum(lift_square), totals.half_cosh_square = sum(half_cosh_square);
  totals.plain_excess = sum(plain_excess), totals.spread_sinh = sum(spread_sinh);
  totals.spread_lift = sum(spread_lift), totals.spread_lift_square = sum(spread_lift_square);
  totals.spread_half_cosh_square = sum(spread_half_cosh_square);
  totals.radius = hn::GetLane(hn::MaxOfLanes(d, radius)), totals.reach = hn::GetLane(hn::MaxOfLanes(d, reach));
  totals.paged_excess = sum(paged_excess), totals.value_residual = sum(value_residual);
  totals.energy = sum(energy), totals.output_rounding = sum(output_rounding);
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

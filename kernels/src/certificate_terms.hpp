#pragma once
#include <algorithm>
#include <cmath>
#include <cstddef>
#include <limits>

#include <mpp/kernels/certificate_sums.hpp>

// What the back ends of certificate_sums() share: what they add up, and how it becomes bounds.
namespace mpp::kernels {

/// Exponents below count as this one: e to it is a normal double, and nothing beside a weight of 1.
inline constexpr double least_certificate_exponent = -708.0;
/// Largest c/2 that enters an exponential. From c = 710 on e^c - 1 is infinity, and all that follows.
inline constexpr double largest_half_radius = 700.0;
/// A page's heaviest token weighs 1: less than half of it is not a mass.
inline constexpr double least_mass = 0.5;

/// Sums over the pages of one head. share = e^(max_logit - log_sum_exp), from e^least_certificate_exponent to e;
/// t = share * mass; every other letter as in CertificateSums, u = cosh(c/2) - 1, so that cosh(c) - 1 = 2 u (u + 2).
/// energy' = energy + certificate_floor * mass; r is certificate_root() spread / (c sqrt(mass)), at most 1, and 1 if c is 0.
/// Each is within certificate_slack() relatively and, where it underflows, within 2^-1000.
struct PageTotals {
  double weight = 0.0;                                           ///< t
  double excess = 0.0, excess_square = 0.0, variance = 0.0;      ///< t r (e^c - 1), t (r (e^c - 1))^2, t (r h)^2
  double affinity = 0.0, shrink = 0.0;                           ///< as there
  double plain_excess = 0.0;                                     ///< t (e^c - 1)
  double lift = 0.0, lift_square = 0.0, half_cosh_square = 0.0;  ///< t u, t u^2, t (u (u + 2))^2
  double spread_lift = 0.0, spread_lift_square = 0.0, spread_half_cosh_square = 0.0;  ///< the same times r^2
  double spread_sinh = 0.0;                                                           ///< t r sinh(c)
  double radius = 0.0, reach = 0.0;                                                   ///< the largest c and value_reach
  double paged_excess = 0.0;    ///< share reach sqrt(mass energy') r (e^c - 1)
  double value_residual = 0.0;  ///< t min(nu, certificate_root() value_spread / sqrt(mass))
  double energy = 0.0;          ///< share reach^2 energy'
  /// share reach (certificate_page_weight mass + token_weight), the latter for values that are codes
  double output_rounding = 0.0;
  double omitted = 0.0;  ///< e^(max_logit - log_sum_exp) mass over omitted pages
  double omitted_reach = 0.0;
};

/// The sums of weights that were flushed to `flushed`, 64 at most, against a mass of at least 1/2.
constexpr double certificate_flushed(const AttendRounding& r) noexcept {
  return static_cast<double>(page_tokens) * r.flushed;
}
constexpr double certificate_floor(const AttendRounding& r) noexcept {
  return r.energy_floor + 2.0 * certificate_flushed(r);
}
/// A page's heaviest token has the share of the page over its mass: at most this squared over the mass as computed.
inline double certificate_root(const AttendRounding& r) noexcept {
  return std::sqrt((1.0 + r.mass) * (1.0 + r.weight + certificate_flushed(r))) * (1.0 + 0x1p-40);
}
/// p~ is made of the logits: what the weights lose goes with what their sums lose.
constexpr double certificate_page_weight(const AttendRounding& r) noexcept {
  return r.page_weight + 3.0 * (r.weight + certificate_flushed(r));
}

// Exponentials within 2^-36.9 of the larger of e^r and 1 (certificate_sums.cpp), so e^x - 1 within 5 times that; polynomials of
// degree 4 in it; a sum over the pages.
constexpr double certificate_slack(std::size_t pages) noexcept {
  return 0x1p-32 + 0x1p-52 * static_cast<double>(pages);
}

/// Sums that know nothing: every bound made of them is infinity, or 1.
constexpr CertificateSums nothing_known() noexcept {
  constexpr double inf = std::numeric_limits<double>::infinity();
  return {.excess = inf,
          .variance = inf,
          .lift = inf,
          .lift_variance = inf,
          .cosh_variance = inf,
          .sinh = inf,
          .spread_lift = inf,
          .spread_lift_square = inf,
          .spread_cosh_square = inf,
          .spread_sinh = inf,
          .radius = inf,
          .excess_square = inf,
          .paged_excess = inf,
          .value_residual = inf,
          .energy = inf,
          .omitted = inf,
          .omitted_reach = inf,
          .output_rounding = inf};
}

// The weight of page P is e^max_logit M, M = sum of e^(logit - max_logit) >= 1. Its mass is within (1 +- mass) of the sum of the
// w, which is within (1 +- (weight + 64 flushed)) of M: mass_down M <= mass <= mass_up M. So m = M share / (sum of M share) is at
// most t mass_up / (mass_down sum of t). Two of the four slacks are those of a sum and of the weight; two cover what follows.
inline CertificateSums closed_sums(const PageTotals& totals, const AttendRounding& rounding,
                                   std::size_t pages) noexcept {
  constexpr double inf = std::numeric_limits<double>::infinity();
  const double slack = certificate_slack(pages);
  if (!(std::abs(totals.weight - 1.0) <= 2.0 * rounding.log_sum_exp + 4.0 * slack)) return nothing_known();
  const double exponential = rounding.weight + certificate_flushed(rounding);
  const double mass_up = (1.0 + rounding.mass) * (1.0 + exponential);
  const double mass_down = (1.0 - rounding.mass) * (1.0 - exponential);
  const double energy_up = (1.0 + rounding.energy) * (1.0 + exponential);
  const double energy_down = (1.0 - rounding.energy) * (1.0 - exponential);
  const double up = (1.0 + 4.0 * slack) / totals.weight * mass_up;
  const double down = (1.0 - 4.0 * slack) / totals.weight * mass_down;
  const double share_up = up / mass_down, share_down = down / mass_up;

  // What underflows is covered by 2^-1000, but a true zero stays zero. NaN is not known. Pages whose exponent is below the
  // least one count for too much: in all, if their factor is at most 1, for 2^-999.
  const auto above = [](double x, bool zero) { return x == 0.0 && zero ? 0.0 : x >= 0.0 ? x + 0x1p-1000 : inf; };
  const auto below = [](double x, double factor) {
    const double least = x - 0x1p-990 * factor;
    return least > 0.0 && least < inf ? least : 0.0;
  };
  const bool exact = totals.radius == 0.0, no_values = totals.reach == 0.0;
  const auto variance = [&](double square, double mean) {
    const double least = below(mean * share_down, std::exp(totals.radius));
    const double difference = square * share_up - least * least;
    return above(difference < 0.0 ? 0.0 : difference, exact);
  };
  CertificateSums sums;
  sums.excess = above(totals.excess * share_up, exact);
  sums.variance = above(totals.variance * share_up, exact);
  sums.affinity = below(totals.affinity * share_down, 1.0);
  sums.shrink = below(totals.shrink * share_down, 1.0);
  sums.lift = above(totals.lift * share_up, exact);
  sums.lift_variance = variance(totals.lift_square, totals.lift);
  sums.cosh_variance = 4.0 * variance(totals.half_cosh_square, totals.lift_square + 2.0 * totals.lift);
  // sinh(c) = (e^c - 1) - (cosh(c) - 1) is at least half of e^c - 1: a slack of that on either side
  const double sinh = totals.plain_excess - 2.0 * (totals.lift_square + 2.0 * totals.lift),
               lost = 4.0 * slack * totals.plain_excess;
  sums.sinh = above((sinh + lost) * share_up, exact);
  sums.sinh_below = below((sinh - lost) * share_down, std::exp(totals.radius));
  sums.spread_lift = above(totals.spread_lift * share_up, exact);
  sums.spread_lift_square = above(totals.spread_lift_square * share_up, exact);
  sums.spread_cosh_square = above(4.0 * totals.spread_half_cosh_square * share_up, exact);
  sums.spread_sinh = above(totals.spread_sinh * share_up, exact);
  sums.radius = sums.excess < inf ? totals.radius : inf;
  sums.excess_square = above(totals.excess_square * share_up, exact);
  sums.paged_excess = above(totals.paged_excess * up / std::sqrt(mass_down * energy_down), exact || no_values);
  sums.value_residual = above(totals.value_residual * share_up, no_values);
  sums.energy = above(totals.energy * up / energy_down, no_values);
  const double floor = 4.0 * certificate_floor(rounding) * totals.reach * totals.reach;  // twice of weights of about 1
  sums.energy_below = below(totals.energy * down / energy_up - floor, totals.reach * totals.reach);
  const double underflow = no_values ? 0.0 : rounding.underflow * std::max(totals.reach, 0x1p-20);
  sums.output_rounding = above(totals.output_rounding * std::max(up, 1.0 + 4.0 * slack) + underflow, no_values);
  sums.omitted = totals.omitted == 0.0 ? 0.0 : above(totals.omitted * up, false);
  sums.omitted_reach = totals.omitted_reach >= 0.0 ? totals.omitted_reach : inf;
  return sums;
}

}  // namespace mpp::kernels

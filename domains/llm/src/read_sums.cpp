#include "read_sums.hpp"

#include <algorithm>

#include "page_terms.hpp"

namespace mpp::llm {
namespace {

/// sum m f - (sum m f)^2, from the sum with f^2, rounded up, and the mean, rounded down.
double variance_up(double square, double mean) noexcept {
  const double difference = square - at_least_zero(below(mean * mean));
  return difference <= 0.0 ? 0.0 : std::isnan(difference) ? infinity : above(difference);
}

void add_omitted(const AttentionRead& read, kernels::CertificateSums& sums) noexcept {
  for (const OmittedPage& page : read.omitted) {
    if (page.tokens == 0 || page.logit == -infinity) continue;
    const double exponent = above(above(page.logit - read.log_sum_exp) + read.rounding.log_sum_exp);
    sums.omitted = sum_up(sums.omitted, product_up(static_cast<double>(page.tokens), exp_up(exponent)));
    sums.omitted_reach = std::max(sums.omitted_reach, page.value_norm);
  }
}

}  // namespace

kernels::CertificateSums read_sums(const AttentionRead& read, Tokens tokens) noexcept {
  const TrueRange masses(read.rounding.mass), energies(read.rounding.energy);
  kernels::CertificateSums sums;
  double fall = 0.0, half_fall = 0.0;
  double lift_square = 0.0, lift_below = 0.0, half_cosh_square = 0.0, half_cosh_below = 0.0;
  for (const AttentionPage& page : read.pages) {
    const double mass = masses.largest(page.mass), energy = energies.largest(page.energy);
    sums.energy = sum_up(sums.energy, energy);
    sums.energy_below = at_least_zero(below(sums.energy_below + energies.smallest(page.energy)));
    // without a radius, even a mass of 0 may be anything
    if (page.radius == infinity) sums.excess = sums.radius = infinity;
    if (mass == 0.0) continue;
    const RadiusTerms terms(page.radius);
    const double least = masses.smallest(page.mass);
    sums.radius = std::max(sums.radius, page.radius);
    const PageMean mean = tokens == Tokens::together ? PageMean::of(page, mass, least) : PageMean::of_radius(page);
    const double rise = product_up(mean.ratio, terms.rise), half_rise = product_up(mean.ratio, terms.half_rise);
    const double square_mass = product_up(mass, product_up(mean.ratio, mean.ratio));
    sums.excess = sum_up(sums.excess, product_up(mass, rise));
    sums.excess_square = sum_up(sums.excess_square, product_up(product_up(mass, rise), rise));
    sums.variance = sum_up(sums.variance, product_up(product_up(mass, half_rise), half_rise));
    sums.spread_lift = sum_up(sums.spread_lift, product_up(square_mass, terms.lift));
    sums.spread_lift_square =
        sum_up(sums.spread_lift_square, product_up(product_up(square_mass, terms.lift), terms.lift));
    sums.spread_cosh_square =
        sum_up(sums.spread_cosh_square,
               product_up(4.0, product_up(product_up(square_mass, terms.half_cosh), terms.half_cosh)));
    sums.spread_sinh = sum_up(sums.spread_sinh, product_up(mass, product_up(mean.ratio, terms.sinh)));
    sums.lift = sum_up(sums.lift, product_up(mass, terms.lift));
    lift_square = sum_up(lift_square, product_up(product_up(mass, terms.lift), terms.lift));
    half_cosh_square = sum_up(half_cosh_square, product_up(product_up(mass, terms.half_cosh), terms.half_cosh));
    lift_below = at_least_zero(below(lift_below + below(least * terms.lift_below)));
    half_cosh_below = at_least_zero(below(half_cosh_below + below(least * terms.half_cosh_below)));
    sums.sinh = sum_up(sums.sinh, product_up(mass, terms.sinh));
    sums.sinh_below = at_least_zero(below(sums.sinh_below + below(least * terms.sinh_below)));
    const double left = std::max(below(terms.half_left * terms.half_left), below(1.0 - mean.radius));
    const double half_left = std::max(terms.half_left, below(1.0 - 0.5 * mean.radius));
    fall = sum_up(fall, product_up(mass, std::min(terms.fall, mean.radius)));
    half_fall = sum_up(half_fall, product_up(mass, std::min(terms.half_fall, 0.5 * mean.radius)));
    sums.shrink = below(sums.shrink + below(least * left));
    sums.affinity = below(sums.affinity + below(least * half_left));
    const double root = product_up(root_up(mass), root_up(energy));
    sums.paged_excess = sum_up(sums.paged_excess, product_up(rise, root));
    sums.value_residual = sum_up(sums.value_residual, product_up(mass, mean.residual));
  }
  sums.lift_variance = variance_up(lift_square, lift_below);
  sums.cosh_variance = 4.0 * variance_up(half_cosh_square, half_cosh_below);
  // The masses add up to 1, so sum m e^{-c} is also 1 - sum m (1 - e^{-c}), where an error of the masses counts only if c > 0.
  sums.shrink = std::max({0.0, sums.shrink, below(1.0 - fall)});
  sums.affinity = std::max({0.0, sums.affinity, below(1.0 - half_fall)});
  sums.output_rounding = read.rounding.output;
  add_omitted(read, sums);
  return sums;
}

}  // namespace mpp::llm

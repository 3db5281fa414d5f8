#include "attention_tv.hpp"

#include <algorithm>

#include "mpp/llm/attention_bound.hpp"

namespace mpp::llm {

TvSums::TvSums(const AttentionRead& read) noexcept {
  const TrueRange masses(read.rounding.mass);
  const double added = added_radius(read.rounding);
  double fall = 0.0, half_fall = 0.0;
  for (const AttentionPage& page : read.pages) {
    const double mass = masses.largest(page.mass), radius = sum_up(page.radius, added);
    if (mass == 0.0 && radius < infinity) continue;  // without a radius, even a mass of 0 may be anything
    const RadiusTerms terms(radius);
    largest_radius = std::max(largest_radius, radius);
    rise = sum_up(rise, product_up(mass, terms.rise));
    fall = sum_up(fall, product_up(mass, terms.fall));
    half_fall = sum_up(half_fall, product_up(mass, terms.half_fall));
    root_spread = sum_up(root_spread, product_up(product_up(mass, terms.half_rise), terms.half_rise));
    const double least = masses.smallest(page.mass);
    kept = below(kept + below(least * below(terms.half_left * terms.half_left)));
    root_kept = below(root_kept + below(least * terms.half_left));
  }
  largest_rise = RadiusTerms(largest_radius).rise;
  // The masses add up to 1, so sum m e^{-c} is also 1 - sum m (1 - e^{-c}), where an error of the masses counts only if c > 0.
  kept = std::max({0.0, kept, below(1.0 - fall)});
  root_kept = std::max({0.0, root_kept, below(1.0 - half_fall)});
}

double TvSums::closed_form() const noexcept {
  if (largest_rise == infinity) return 1.0;
  double tv = std::min(1.0, rise);
  tv = std::min(tv, quotient_up(largest_rise, below(largest_rise + 2.0)));  // tanh(c/2) = (e^c - 1)/(e^c + 1)
  // Hellinger: V/(V + K^2), V = root_spread, K = root_kept
  const double denominator = below(root_spread + std::max(0.0, below(root_kept * root_kept)));
  if (denominator > 0.0 && denominator < infinity) tv = std::min(tv, root_up(quotient_up(root_spread, denominator)));
  return tv;
}

double with_omitted(double tv, double share) noexcept {
  return std::min(1.0, sum_up(tv, product_up(share, above(1.0 - tv))));
}

double attention_tv_bound(const AttentionRead& read) {
  check_read(read, "attention_tv_bound");
  const TvSums sums(read);
  return with_omitted(sums.closed_form(), omitted_share(omitted_weight(read).weight, sums.kept));
}

}  // namespace mpp::llm

#pragma once
#include "mpp/llm/attention_page.hpp"
#include "outward.hpp"

namespace mpp::llm {

/// Largest true number that `rounding` allows for `computed`. 0 only for a true 0.
inline double largest(double computed, const Rounding& rounding) noexcept {
  if (rounding.relative == 0.0) return sum_up(computed, rounding.absolute);
  return quotient_up(sum_up(computed, rounding.absolute), below(1.0 - rounding.relative));
}
/// Smallest one.
inline double smallest(double computed, const Rounding& rounding) noexcept {
  const double least = below(below(computed - rounding.absolute) / above(1.0 + rounding.relative));
  return least > 0.0 ? least : 0.0;
}

/// Everything the forms need of a radius c, from one exponential. All rounded up, in the order of definition.
struct RadiusTerms {
  double half_rise = 0.0;  ///< e^{c/2} - 1
  double rise = 0.0;       ///< e^c - 1
  double half_fall = 0.0;  ///< 1 - e^{-c/2}
  double fall = 0.0;       ///< 1 - e^{-c}

  // Each is increasing in half_rise =: h, so an h that is too large makes each too large.
  explicit RadiusTerms(double radius) noexcept
      : half_rise(expm1_up(product_up(0.5, radius))), rise(product_up(half_rise, above(half_rise + 2.0))) {
    // 1 - e^{-c/2} = h/(1 + h) and 1 - e^{-c} = r/(1 + r); at infinity the quotients are not numbers.
    half_fall = half_rise < infinity ? quotient_up(half_rise, below(1.0 + half_rise)) : 1.0;
    fall = rise < infinity ? quotient_up(rise, below(1.0 + rise)) : 1.0;
  }
};

/// The radius of p~ as the kernel weighed it: |s_i - ln w_i| <= c + |ln(1 +- weight)|, and -ln(1 - x) <= x/(1 - x).
inline double radius_of(const AttentionPage& page, const AttentionRounding& rounding) noexcept {
  if (rounding.weight == 0.0) return page.radius;
  return sum_up(page.radius, quotient_up(rounding.weight, below(1.0 - rounding.weight)));
}

/// Weight of all omitted tokens and where it ends up, relative to the weights of the pages read.
struct Omitted {
  double weight = 0.0;      ///< sum over omitted tokens of e^{s_i} / (sum of w), rounded up
  double value_norm = 0.0;  ///< largest value of an omitted token with any weight
};
Omitted omitted_weight(const AttentionRead& read) noexcept;

/// Largest share R / (Z + R) of the omitted weight R in the exact softmax. `kept` <= Z = sum p~ e^{s - ln w}.
inline double omitted_share(double weight, double kept) noexcept {
  if (weight == 0.0) return 0.0;
  if (weight == infinity || kept <= 0.0) return 1.0;
  const double share = quotient_up(weight, below(weight + kept));
  return share < 1.0 ? share : 1.0;
}

/// Throws ValueError unless the read keeps the rules of attention_page.hpp. `operation` begins the sentence.
void check_read(const AttentionRead& read, const char* operation);

}  // namespace mpp::llm

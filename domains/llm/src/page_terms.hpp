#pragma once
#include <algorithm>

#include "mpp/llm/attention_page.hpp"
#include "outward.hpp"

namespace mpp::llm {

/// The true numbers that a `Rounding` allows for computed ones. Made once per read: a page costs no division.
class TrueRange {
 public:
  explicit TrueRange(const Rounding& rounding) noexcept
      : absolute_(rounding.absolute), up_(rounding.relative == 0.0 ? 1.0 : above(1.0 / below(1.0 - rounding.relative))),
        down_(below(1.0 / above(1.0 + rounding.relative))) {}

  /// 0 only if the true number is 0.
  double largest(double computed) const noexcept { return product_up(sum_up(computed, absolute_), up_); }
  double smallest(double computed) const noexcept {
    const double least = below(below(computed - absolute_) * down_);
    return least > 0.0 ? least : 0.0;
  }

 private:
  double absolute_, up_, down_;
};

/// Everything the forms need of a radius c, from one exponential. All rounded up, unless the comment says otherwise.
struct RadiusTerms {
  double half_rise = 0.0;   ///< e^{c/2} - 1
  double rise = 0.0;        ///< e^c - 1
  double half_fall = 0.0;   ///< 1 - e^{-c/2}
  double fall = 0.0;        ///< 1 - e^{-c}
  double half_left = 0.0;   ///< rounded down: e^{-c/2}
  double lift = 0.0;        ///< u = cosh(c/2) - 1
  double lift_below = 0.0;  ///< rounded down: u
  double half_cosh = 0.0;   ///< (cosh(c) - 1) / 2 = u (u + 2)
  double half_cosh_below = 0.0;
  double sinh = 0.0;  ///< sinh(c)
  double sinh_below = 0.0;

  // Each is monotone in half_rise =: h, so an h that is too large errs to the safe side in each. u = h^2 / (2 (1 + h)).
  explicit RadiusTerms(double radius) noexcept
      : half_rise(expm1_up(product_up(0.5, radius))), rise(product_up(half_rise, above(half_rise + 2.0))) {
    half_fall = half_rise < infinity ? quotient_up(half_rise, below(1.0 + half_rise)) : 1.0;
    fall = product_up(half_fall, above(2.0 - half_fall));
    half_left = at_least_zero(below(1.0 / above(1.0 + half_rise)));
    lift = product_up(0.5, product_up(half_rise, half_fall));
    half_cosh = product_up(lift, above(lift + 2.0));
    sinh = product_up(0.5, sum_up(rise, fall));
    // h is within 2^-47 of the true one, what is made of it here within 5 times that and a few roundings.
    lift_below = at_least_zero(lift * (1.0 - 0x1p-44) - 0x1p-1000);
    half_cosh_below = at_least_zero(half_cosh * (1.0 - 0x1p-44) - 0x1p-1000);
    sinh_below = at_least_zero(sinh * (1.0 - 0x1p-44) - 0x1p-1000);
  }
};

/// What the tokens of a page are off by on average under p~: their weights add up to the mass.
struct PageMean {
  double radius;    ///< c': the mean of d^2 is at most its square
  double ratio;     ///< c' / c, at most 1
  double residual;  ///< |sum p~_i (v_i - v~_i)| / mass is at most this

  /// As if they all erred in the same way.
  static PageMean of_radius(const AttentionPage& page) noexcept { return {page.radius, 1.0, page.residual}; }
  /// From what they err by together: no weight is above `heaviest`, so the sum of their squares is at most heaviest mass.
  /// mass, least: largest and smallest true mass of the page
  static PageMean of(const AttentionPage& page, double mass, double least) noexcept {
    const double heaviest = std::min(page.heaviest, mass);
    const double share = least > 0.0 ? std::min(1.0, root_up(quotient_up(heaviest, least))) : 1.0;
    const double radius = std::min(page.radius, product_up(page.spread, share));
    const bool known = page.radius > 0.0 && page.radius < infinity;
    return {radius, known ? std::min(1.0, quotient_up(radius, page.radius)) : 1.0,
            std::min(page.residual, product_up(page.value_spread, share))};
  }
};

/// Throws ValueError unless the read keeps the rules of attention_page.hpp. `operation` begins the sentence.
void check_read(const AttentionRead& read, const char* operation);

}  // namespace mpp::llm

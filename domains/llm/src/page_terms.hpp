#pragma once
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

/// What the error of the exponential adds to every radius: |s_i - ln w_i| <= c + |ln(1 +- weight)|, -ln(1 - x) <= x/(1 - x).
inline double added_radius(const AttentionRounding& rounding) noexcept {
  return quotient_up(rounding.weight, below(1.0 - rounding.weight));
}

/// Everything the forms need of a radius c, from one exponential. All rounded up, `half_left` down.
struct RadiusTerms {
  double half_rise = 0.0;  ///< e^{c/2} - 1
  double rise = 0.0;       ///< e^c - 1
  double half_fall = 0.0;  ///< 1 - e^{-c/2}
  double fall = 0.0;       ///< 1 - e^{-c}
  double half_left = 0.0;  ///< e^{-c/2}

  // Each is monotone in half_rise =: h, so an h that is too large errs to the safe side in each.
  explicit RadiusTerms(double radius) noexcept
      : half_rise(expm1_up(product_up(0.5, radius))), rise(product_up(half_rise, above(half_rise + 2.0))) {
    half_fall = half_rise < infinity ? quotient_up(half_rise, below(1.0 + half_rise)) : 1.0;
    fall = product_up(half_fall, above(2.0 - half_fall));
    const double left = below(1.0 / above(1.0 + half_rise));
    half_left = left > 0.0 ? left : 0.0;
  }
};

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

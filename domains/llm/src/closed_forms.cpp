#include "closed_forms.hpp"

#include <algorithm>

#include "mpp/core/error.hpp"
#include "outward.hpp"

namespace mpp::llm {
namespace {

using kernels::CertificateSums;

/// x^2 + 2x = (1 + x)^2 - 1.
double square_rise(double x) noexcept { return product_up(x, above(x + 2.0)); }

/// Means over tokens of functions of |d| <= c, or of c itself: all that a form asks of radii. Rounded up.
struct Means {
  double lift;           ///< cosh(c/2) - 1
  double lift_square;    ///< its square
  double lift_variance;  ///< its variance, or its square
  double cosh_variance;  ///< of cosh(c), or of (cosh(c) - 1)^2
  double sinh;
};
Means means_of_radii(const CertificateSums& sums) noexcept {
  return {sums.lift, sum_up(sums.lift_variance, product_up(sums.lift, sums.lift)), sums.lift_variance,
          sums.cosh_variance, sums.sinh};
}
/// Of radii that are known on each page by their mean square and their largest only: squares in place of variances.
Means means_of_spreads(const CertificateSums& sums) noexcept {
  return {sums.spread_lift, sums.spread_lift_square, sums.spread_lift_square, sums.spread_cosh_square,
          sums.spread_sinh};
}

/// T4: sin of the largest angle with k cos + g sin >= 1, k = 1 + lift, g^2 = lift_variance. It grows with k and g.
double angle_form(const Means& means) noexcept {
  if (!(means.lift_variance < 1.0) || means.lift == infinity) return 1.0;
  const double square = sum_up(square_rise(means.lift), means.lift_variance);  // k^2 + g^2 - 1
  const double top = sum_up(root_up(means.lift_variance), product_up(above(1.0 + means.lift), root_up(square)));
  const double bottom = below(1.0 + below(below(means.lift * below(means.lift + 2.0)) + means.lift_variance));
  return bottom < infinity ? quotient_up(top, bottom) : 1.0;
}

/// k - 1 = sum m (cosh(c) - 1).
double cosh_rise(const Means& means) noexcept {
  return sum_up(product_up(2.0, means.lift_square), product_up(4.0, means.lift));
}

/// T5 of a total variation that is at most `most`, if the mean of sinh(c) is from `least` to `mean`.
double set_form(const Means& means, double least, double mean, double most) noexcept {
  const double square = sum_up(square_rise(cosh_rise(means)), means.cosh_variance);  // sum m sinh(c)^2
  if (!(square < 1.0) || !(mean < 1.0)) return 1.0;
  const double root = root_up(square), apart = root_up(means.cosh_variance);
  const double deviation = root_up(at_least_zero(above(square - at_least_zero(below(least * least)))));
  const double slope = root_up(product_up(root, at_least_zero(above(root - least))) * 0.5);
  const double k = below(std::sqrt(below(1.0 + at_least_zero(below(least * least)))));
  const double cut = below(below(k - slope) - product_up(root, most));
  const double middle = below(below(k - deviation) - product_up(2.0, product_up(mean, most)));
  if (!(cut > 0.0) || !(middle > 0.0)) return 1.0;
  const double of_cut = quotient_up(sum_up(0.25 * sum_up(mean, root), 0.5 * apart), cut);
  return std::max(of_cut, quotient_up(0.5 * sum_up(mean, apart), middle));
}

/// T5 wherever the mean of sinh is from 0 to means.sinh: what grows with it is taken at the end of an interval, what falls at
/// its beginning. The largest mean is nearly always the worst one: intervals double in length from there.
double set_form_from_zero(const Means& means, double most) noexcept {
  double tv = 0.0, end = means.sinh;
  for (double missing = 1.0 / 64.0; missing <= 1.0 && tv < most; missing *= 2.0) {
    const double begin = missing < 1.0 ? means.sinh * (1.0 - missing) : 0.0;
    tv = std::max(tv, set_form(means, begin, end, most));
    end = begin;
  }
  return tv;
}

/// Total variation over the tokens read alone.
double read_tv(const CertificateSums& sums) noexcept {
  if (sums.excess == infinity) return 1.0;
  double tv = std::min(1.0, sums.excess);
  const double rise = expm1_up(sums.radius);  // tanh(c/2) = (e^c - 1)/(e^c + 1)
  if (rise < infinity) tv = std::min(tv, quotient_up(rise, below(rise + 2.0)));
  const double affinity = at_least_zero(below(sums.affinity * sums.affinity));
  const double total = below(sums.variance + affinity);  // Hellinger: V/(V + H^2)
  if (total > 0.0 && total < infinity) tv = std::min(tv, root_up(quotient_up(sums.variance, total)));
  const Means radii = means_of_radii(sums), spreads = means_of_spreads(sums);
  tv = std::min({tv, angle_form(radii), angle_form(spreads)});
  tv = std::min(tv, set_form(radii, std::min(sums.sinh_below, sums.sinh), sums.sinh, tv));
  return std::min(tv, set_form_from_zero(spreads, tv));
}

/// Largest share R / (Z + R) of the omitted weight in the exact softmax, Z >= shrink.
double omitted_share(const CertificateSums& sums) noexcept {
  if (sums.omitted == 0.0) return 0.0;
  if (sums.omitted == infinity || sums.shrink <= 0.0) return 1.0;
  return std::min(1.0, quotient_up(sums.omitted, below(sums.omitted + sums.shrink)));
}

/// O3 over the root of the variance of v: ((1 + k) g + sqrt(k (k + 2) + g^2)) / (1 - g^2), k = sum m (cosh(c) - 1).
double coupled_form(const Means& means) noexcept {
  const double room = below(1.0 - means.cosh_variance);
  if (!(room > 0.0)) return infinity;
  const double k = cosh_rise(means);
  const double root = root_up(sum_up(square_rise(k), means.cosh_variance));
  return quotient_up(sum_up(product_up(above(1.0 + k), root_up(means.cosh_variance)), root), room);
}

/// |sum p_i v_i - sum p~_i v_i| over the tokens read alone; `least` and `most`: of |sum p~_i v_i|.
double moved(const CertificateSums& sums, double least, double most) noexcept {
  const double deviation = root_up(at_least_zero(above(sums.energy - at_least_zero(below(least * least)))));
  const double paged = sum_up(sums.paged_excess, product_up(sums.excess, most));
  const double by_weight = std::min(product_up(root_up(sums.excess_square), deviation), paged);
  const double kept = by_weight == 0.0 ? 0.0 : sums.shrink > 0.0 ? quotient_up(by_weight, sums.shrink) : infinity;
  const double coupled = std::min(coupled_form(means_of_radii(sums)), coupled_form(means_of_spreads(sums)));
  return std::min(kept, product_up(coupled, deviation));
}

}  // namespace

double closed_tv(const CertificateSums& sums) noexcept {
  const double tv = read_tv(sums);
  return std::min(1.0, sum_up(tv, product_up(omitted_share(sums), above(1.0 - tv))));
}

AttentionOutputBound closed_output(const CertificateSums& sums, double output_norm, const char* operation) {
  const double lost = sum_up(sums.output_rounding, sums.value_residual);
  const double least = at_least_zero(below(output_norm - lost));
  const double most = std::min(sum_up(output_norm, lost), root_up(sums.energy));
  expects<ValueError>(below(least * least) <= sums.energy, operation, ": the output has a norm of ", output_norm,
                      ", at least ", least, " without what was lost, and its square is above the sum of all energies, ",
                      sums.energy, ": they belong to different reads");
  double error = sum_up(moved(sums, least, most), sums.value_residual);
  if (!(sums.excess < infinity)) error = infinity;
  if (error < infinity) {
    // (1 - share) error + share |v - o~| over omitted tokens, written so that it is monotone in every part
    const double reach = sum_up(sums.omitted_reach, sum_up(output_norm, sums.output_rounding));
    error = sum_up(error, product_up(omitted_share(sums), at_least_zero(above(reach - error))));
  }
  error = sum_up(error, sums.output_rounding);
  const double rms = at_least_zero(below(std::sqrt(sums.energy_below)));
  return {error, error == 0.0 ? 0.0 : rms > 0.0 ? quotient_up(error, rms) : infinity};
}

}  // namespace mpp::llm

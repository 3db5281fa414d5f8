#include "mpp/llm/dithered_attention.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include "dithered_scan.hpp"
#include "dithered_terms.hpp"
#include "mpp/core/error.hpp"

namespace mpp::llm {
namespace {

constexpr double infinity = std::numeric_limits<double>::infinity();
// All sums are of non-negative numbers, of at most 2^20 tokens of 2^10 channels: within 2^-32 relatively. The factor is put on
// the inputs, and no difference below is taken where it would magnify the rest.
constexpr double outward = 1.0 + 0x1p-30;

/// Sums over the tokens that both bounds are made of, p^_i = min(1, p~_i e^c / z) in place of the exact p_i.
struct DitherSums {
  QuadraticForm logits;        ///< p^ r^2 sigma^2, r = (e^{c/2} - 1)/(c/2)
  double largest_logit = 0.0;  ///< max r^2 sigma^2
  double bias = 0.0;           ///< max r b, b what the dither does not explain of a logit's error
  double largest_radius = 0.0;
  double moved = 0.0;       ///< sum p^2 sigma^2 (|v~ - o~| + nu)^2
  double moved_unit = 0.0;  ///< sum p^2 sigma^2
  double distance = 0.0;    ///< max |v~ - o~| + nu
};

DitherSums sums_of(const DitherScan& scan) noexcept {
  double z = 0.0;
  for (const DitherScan::Page& page : scan.pages)
    for (std::size_t i = page.first; i < page.last; ++i) z += scan.weight[i] * std::exp(-page.radius);
  z /= outward;
  DitherSums sums;
  for (const DitherScan::Page& page : scan.pages) {
    const double c = page.radius, half = 0.5 * c;
    const double rise = (half == 0.0 ? 1.0 : std::expm1(half) / half) * outward;
    const double variance = page.sigma * page.sigma * outward, risen = rise * rise * variance;
    for (std::size_t i = page.first; i < page.last; ++i) {
      const double p = z > 0.0 ? std::min(1.0, scan.weight[i] * std::exp(c) / z * outward) : 1.0;
      sums.logits.add(p * risen);
      const double apart = scan.distance[i] + page.value_radius;
      sums.moved += p * p * variance * apart * apart;
      sums.moved_unit += p * p * variance;
      sums.distance = std::max(sums.distance, apart);
    }
    sums.largest_logit = std::max(sums.largest_logit, risen);
    sums.bias = std::max(sums.bias, rise * page.bias);
    sums.largest_radius = std::max(sums.largest_radius, c);
  }
  return sums;
}

/// sqrt(E_p (e^{-delta/2} - 1)^2) at most: (1/2) sqrt(sum p r^2 error^2), and the bias beside it.
double half_deviation(const DitherSums& sums, const DitherTail& tail) noexcept {
  const double sum = std::min(sums.logits.sum(), sums.largest_logit);  // the p add up to 1
  return 0.5 * (std::sqrt(sums.logits.limit(tail.square, sum)) + sums.bias) * outward;
}

double total_variation(double deviation) noexcept {
  if (!(deviation < 0.5)) return 1.0;
  return std::min(1.0, deviation / std::hypot(deviation, 1.0 - deviation) * outward);
}

/// B with B <= first + share B, for a B that is finite.
double solved(double first, double share) noexcept { return share <= 0.5 ? first / (1.0 - share) : infinity; }

double output_error(const DitherSums& sums, const DitherScan& scan, const DitherTail& tail, double deviation) noexcept {
  const double spread = 2.0 * deviation;  // sqrt(E_p delta^2) at most
  if (!(spread <= 0.5)) return infinity;
  const double least = 1.0 - spread;  // E_p e^{-delta} >= e^{-spread}
  const double curved = 0.5 * std::exp(sums.largest_radius) * spread * spread + sums.bias;
  const double values = std::sqrt(scan.values.limit(tail.square)) + scan.value_bias;
  const double first = (tail.norm() * std::sqrt(sums.moved) + curved * sums.distance) / least + values;
  const double share = (tail.norm() * std::sqrt(sums.moved_unit) + curved) / least;
  return (solved(first * outward, share * outward) + scan.output_rounding) * outward;
}

}  // namespace

DitheredAttention::DitheredAttention(IndependentTokens tokens, Delta delta) : tokens_(tokens), delta_(delta) {
  expects<ValueError>(delta.value > 0.0 && delta.value < 1.0, "DitheredAttention: delta is ", delta.value,
                      ", expected a number in (0, 1)");
}

DitheredOutcome DitheredAttention::read(const DitheredRead& read, std::pmr::memory_resource* memory) const {
  expects<ValueError>(read.position < tokens_.count(), "DitheredAttention: position is ", read.position, ", only ",
                      tokens_.count(), " tokens are known to be independent of the dither");
  DitherScan scan(read, memory);
  const DitherTail tail(delta_, scan.weight.size());
  scan.run(read, tail.radius);
  const DitherSums sums = sums_of(scan);
  const double deviation = half_deviation(sums, tail);
  const double tv = total_variation(deviation), error = output_error(sums, scan, tail, deviation);
  return {std::move(scan.output), ErrorBound::randomized(tv, delta_), ErrorBound::randomized(error, delta_)};
}

}  // namespace mpp::llm

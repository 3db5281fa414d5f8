#include <algorithm>
#include <array>

#include "closed_forms.hpp"
#include "page_terms.hpp"
#include "read_sums.hpp"

namespace mpp::llm {
namespace {

// For a set S of tokens, kept or omitted, let t = p(S). Whatever mu >= 0 is (docs/llm_certificate.md, "The supremum"),
//   p(S) - p~(S) <= G(t, mu) = t (1 - mu K) + mu (1 - t) R + sum m max(0, mu ((1 - t) e^c + t e^{-c}) - 1),
// K = sum m e^{-c}, R the omitted weight. G is convex in t: on an interval of t one mu and the two ends bound it all.

/// Mass spread over a fixed grid of radii, so that the search costs the same for any number of pages.
//
// A term of G is convex in c: a page between two grid radii counts for no less when its mass goes to the two, each taking
// the more the nearer it is. What is lost is of second order in the distance, unlike with radii rounded up.
class RadiusGrid {
 public:
  explicit RadiusGrid(double largest_radius) noexcept {
    constexpr double ratio = 0.84089641525371454;  // 2^(-1/4): 63 radii span 2^15
    radius_[size - 1] = largest_radius;
    for (std::size_t k = size - 1; k-- > 1;) radius_[k] = radius_[k + 1] * ratio;
    for (std::size_t k = 1; k < size; ++k) {
      const RadiusTerms terms(radius_[k]);
      rise_[k] = terms.rise;
      fall_[k] = below(terms.fall * (1.0 - 0x1p-45));  // terms.fall is within 2^-46 of the true one, above it
    }
  }
  void add(double mass, double radius) noexcept {
    const auto end = std::lower_bound(radius_.begin() + 1, radius_.end() - 1, radius);
    const auto k = static_cast<std::size_t>(end - radius_.begin());
    const double low = radius_[k - 1], high = radius_[k], width = below(high - low);
    mass_[k] = sum_up(mass_[k], product_up(mass, share(low, radius, width)));
    mass_[k - 1] = sum_up(mass_[k - 1], product_up(mass, share(radius, high, width)));
  }
  /// sum m max(0, mu ((1 - t) e^c + t e^{-c}) - 1), not below the true value.
  double excess(double t, double mu) const noexcept {
    const double shift = mu - 1.0;
    double sum = 0.0;
    for (std::size_t k = 0; k < size; ++k) {
      const double up = mu * (1.0 - t) * rise_[k], down = mu * t * fall_[k];
      const double error = 0x1p-49 * (std::abs(shift) + up + down);  // seven roundings of 2^-53 each
      sum += mass_[k] * std::max(0.0, shift + up - down + error);
    }
    return sum * (1.0 + 0x1p-44) + 0x1p-1060;  // 64 products and sums
  }

 private:
  static double share(double from, double to, double width) noexcept {
    return from == to ? 0.0 : quotient_up(above(to - from), width);
  }

  static constexpr std::size_t size = 64;
  std::array<double, size> radius_{}, rise_{}, fall_{}, mass_{};
};

/// G above. t is a multiple of 2^-32, so that 1 - t is exact.
double ceiling(const RadiusGrid& grid, const kernels::CertificateSums& sums, double t, double mu) noexcept {
  const double shift = mu - 1.0, fall = mu * (1.0 - sums.shrink), outside = mu * (1.0 - t) * sums.omitted;
  const double error = 0x1p-49 * (t * (std::abs(shift) + fall) + outside);
  const double value = t * (fall - shift) + outside + grid.excess(t, mu);
  return value + error + 0x1p-50 * (std::abs(value) + std::abs(shift));
}

struct Interval {
  double low, high, bound;
};

/// Not below G(t, mu) on the interval, for a good mu: max() of two convex functions of mu, searched by golden sections.
Interval bounded(const RadiusGrid& grid, const kernels::CertificateSums& sums, double low, double high) noexcept {
  const auto at = [&](double mu) { return std::max(ceiling(grid, sums, low, mu), ceiling(grid, sums, high, mu)); };
  constexpr double golden = 0.6180339887498949;
  double left = 1.0 / (1.0 + sums.excess + sums.omitted),
         right = 1.0 / sums.shrink;  // 1/mu is the partition function of the worst case
  double a = right - golden * (right - left), b = left + golden * (right - left), at_a = at(a), at_b = at(b);
  double best = std::min(at_a, at_b);
  for (int step = 0; step < 20; ++step) {
    if (at_a < at_b) {
      right = b, b = a, at_b = at_a, a = right - golden * (right - left), at_a = at(a);
    } else {
      left = a, a = b, at_a = at_b, b = left + golden * (right - left), at_b = at(b);
    }
    best = std::min({best, at_a, at_b});
  }
  return {low, high, best};
}

double searched(const RadiusGrid& grid, const kernels::CertificateSums& sums) noexcept {
  constexpr std::size_t most = 32;
  std::array<Interval, most> intervals{bounded(grid, sums, 0.0, 0.5), bounded(grid, sums, 0.5, 1.0)};
  const auto less = [](const Interval& a, const Interval& b) { return a.bound < b.bound; };
  for (std::size_t count = 2; count < most; ++count) {
    Interval& worst = *std::max_element(intervals.begin(), intervals.begin() + count, less);
    const double middle = 0.5 * (worst.low + worst.high);
    intervals[count] = bounded(grid, sums, middle, worst.high);
    worst = bounded(grid, sums, worst.low, middle);
  }
  return std::max_element(intervals.begin(), intervals.end(), less)->bound;
}

}  // namespace

double attention_tv_supremum(const AttentionRead& read) {
  check_read(read, "attention_tv_supremum");
  const double closed = closed_tv(read_sums(read));
  // A token's term of G falls with its radius where t is above 1/2: it needs the K of the same radii.
  const kernels::CertificateSums sums = read_sums(read, Tokens::each);
  // Outside of these limits the grid would under- or overflow, and the closed form is 0 or 1 for all purposes.
  if (!(sums.radius > 0x1p-900 && sums.radius < 600.0 && sums.shrink > 0.0 && sums.omitted < 0x1p+500)) return closed;
  const TrueRange masses(read.rounding.mass);
  RadiusGrid grid(sums.radius);
  for (const AttentionPage& page : read.pages) {
    const double mass = masses.largest(page.mass);
    if (mass > 0.0) grid.add(mass, page.radius);
  }
  const double tv = searched(grid, sums);
  return tv >= 0.0 ? std::min(closed, tv) : closed;
}

}  // namespace mpp::llm

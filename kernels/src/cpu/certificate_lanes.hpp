#pragma once
#include <algorithm>
#include <cmath>
#include <cstddef>
#include <limits>

#include "src/certificate_terms.hpp"

namespace mpp::kernels::cpu {

inline constexpr std::size_t certificate_lanes = 8;  ///< pages of the largest register

/// The statistics of one head from some page on.
struct HeadStatistics {
  const float* max_logit;
  const float* mass;
  const float* radius;
  const float* spread;
  const float* energy;
  const float* value_residual;
  const float* value_spread;
  const float* value_reach;
  double log_sum_exp;
  std::size_t pages;

  HeadStatistics(const KvRead& read, std::size_t head) noexcept
      : max_logit(read.statistics.max_logit + head * read.page_count),
        mass(read.statistics.mass + head * read.page_count), radius(read.statistics.radius + head * read.page_count),
        spread(read.statistics.spread + head * read.page_count),
        energy(read.statistics.energy + head * read.page_count), value_residual(read.statistics.value_residual),
        value_spread(read.statistics.value_spread), value_reach(read.statistics.value_reach),
        log_sum_exp(read.log_sum_exp[head]), pages(read.page_count) {}

  [[nodiscard]] HeadStatistics at(std::size_t page) const noexcept {
    HeadStatistics rest = *this;
    rest.max_logit += page, rest.mass += page, rest.radius += page, rest.energy += page;
    rest.spread += page, rest.value_spread += page;
    rest.value_residual += page, rest.value_reach += page, rest.pages -= page;
    return rest;
  }
};

/// A register of pages, with neutral ones in place of those that are omitted, weigh nothing or are beyond the last.
class CertificateLanes {
 public:
  /// Adds the omitted ones of the first `lanes` pages to `totals`. What is not a number gets a mass that is none.
  HeadStatistics fill(const HeadStatistics& head, std::size_t lanes, PageTotals& totals) noexcept {
    for (std::size_t i = 0; i < lanes; ++i) {
      max_logit_[i] = mass_[i] = radius_[i] = energy_[i] = value_residual_[i] = value_reach_[i] = 0.0F;
      spread_[i] = value_spread_[i] = 0.0F;
      if (i >= head.pages) continue;
      if (head.radius[i] == -1.0F) {
        omit(head, i, totals);
        continue;
      }
      if (head.mass[i] == 0.0F) continue;
      const bool sane = head.radius[i] >= 0.0F && head.spread[i] >= 0.0F &&
                        head.mass[i] >= static_cast<float>(least_mass) && !std::isnan(head.max_logit[i]);
      max_logit_[i] = head.max_logit[i];
      mass_[i] = sane ? head.mass[i] : std::numeric_limits<float>::quiet_NaN();
      radius_[i] = head.radius[i];
      spread_[i] = head.spread[i];
      energy_[i] = head.energy[i];
      const bool known = head.value_residual[i] >= 0.0F;  // false for NaN, as below
      value_residual_[i] = known ? head.value_residual[i] : std::numeric_limits<float>::infinity();
      value_spread_[i] =
          known && head.value_spread[i] >= 0.0F ? head.value_spread[i] : std::numeric_limits<float>::infinity();
      value_reach_[i] = head.value_reach[i];
    }
    HeadStatistics filled = head;
    filled.max_logit = max_logit_, filled.mass = mass_, filled.radius = radius_, filled.energy = energy_;
    filled.spread = spread_, filled.value_spread = value_spread_;
    filled.value_residual = value_residual_, filled.value_reach = value_reach_;
    return filled;
  }

 private:
  static void omit(const HeadStatistics& head, std::size_t i, PageTotals& totals) noexcept {
    const double logit = head.max_logit[i], tokens = head.mass[i];
    if (logit == -std::numeric_limits<double>::infinity() || tokens == 0.0) return;
    // the sum becomes NaN, and so unknown, for what is not a number
    totals.omitted += std::exp(std::max(logit - head.log_sum_exp, least_certificate_exponent)) * tokens;
    const double reach = head.value_reach[i];
    totals.omitted_reach =
        reach >= 0.0 ? std::max(totals.omitted_reach, reach) : std::numeric_limits<double>::infinity();
  }

  float max_logit_[certificate_lanes], mass_[certificate_lanes], radius_[certificate_lanes], energy_[certificate_lanes],
      spread_[certificate_lanes], value_spread_[certificate_lanes], value_residual_[certificate_lanes],
      value_reach_[certificate_lanes];
};

}  // namespace mpp::kernels::cpu

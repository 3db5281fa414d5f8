#pragma once
#include <algorithm>
#include <cmath>
#include <cstddef>
#include <random>
#include <vector>

#include <mpp/kernels/certificate_sums.hpp>

namespace mpp::reference {

/// Statistics of one read as attend_paged() might report them: [group][pages], the last three [pages].
struct ReadStatistics {
  std::size_t group = 1, pages = 1;
  std::vector<float> max_logit, mass, radius, spread, energy, value_residual, value_spread, value_reach;
  std::vector<double> log_sum_exp;  // [group]

  /// Makes log_sum_exp that of the masses.
  void sum_up() {
    log_sum_exp.clear();
    for (std::size_t head = 0; head < group; ++head) {
      long double largest = -HUGE_VALL, sum = 0.0L;
      for (std::size_t i = head * pages; i < (head + 1) * pages; ++i)
        if (radius[i] != -1.0F) largest = std::max<long double>(largest, max_logit[i]);
      for (std::size_t i = head * pages; i < (head + 1) * pages; ++i)
        if (radius[i] != -1.0F) sum += std::exp(max_logit[i] - largest) * static_cast<long double>(mass[i]);
      log_sum_exp.push_back(static_cast<double>(largest + std::log(sum)));
    }
  }
};

/// The sums of one head as they are by definition, in long double, if what was reported is off by as much as `rounding` allows:
/// each mass, energy one way or the other, by the bits of `signs`.
struct ExactSums {
  long double excess = 0.0L, variance = 0.0L, affinity = 0.0L, shrink = 0.0L, lift = 0.0L, lift_variance = 0.0L;
  long double cosh_variance = 0.0L, sinh = 0.0L, radius = 0.0L, excess_square = 0.0L, paged_excess = 0.0L,
              value_residual = 0.0L;
  long double spread_lift = 0.0L, spread_lift_square = 0.0L, spread_cosh_square = 0.0L, spread_sinh = 0.0L;
  long double energy = 0.0L, omitted = 0.0L, omitted_reach = 0.0L, output_rounding = 0.0L;

  ExactSums(const ReadStatistics& read, std::size_t head, const kernels::AttendRounding& rounding,
            std::mt19937_64& signs, long double part) {
    const auto off = [&](double by) {
      return 1.0L + ((signs() & 1U) != 0 ? part : -part) * static_cast<long double>(by);
    };
    const std::size_t first = head * read.pages;
    std::vector<long double> mass(read.pages), m(read.pages);
    long double largest = -HUGE_VALL, total = 0.0L;
    for (std::size_t p = 0; p < read.pages; ++p)
      if (read.radius[first + p] != -1.0F) largest = std::max<long double>(largest, read.max_logit[first + p]);
    for (std::size_t p = 0; p < read.pages; ++p) {
      mass[p] = read.mass[first + p] / (off(rounding.mass) * off(rounding.weight));
      m[p] = mass[p] * std::exp(read.max_logit[first + p] - largest);
      if (read.radius[first + p] != -1.0F) total += m[p];
    }
    long double cosh_lift = 0.0L, longest = 0.0L;
    for (std::size_t p = 0; p < read.pages; ++p) {
      const long double reach = read.value_reach[p], c = read.radius[first + p];
      m[p] /= total;
      if (c == -1.0L) {
        if (m[p] == 0.0L) continue;
        omitted += read.mass[first + p] * std::exp(read.max_logit[first + p] - largest) / total;
        omitted_reach = std::max(omitted_reach, reach);
        continue;
      }
      if (mass[p] == 0.0L) continue;
      const long double h = std::expm1(0.5L * c), rise = std::expm1(c), squared = read.energy[first + p];
      const long double floor = off(1.0) - 1.0L;  // the floor of energies, one way or the other
      const long double page_energy = std::max(0.0L, squared + floor * rounding.energy_floor * read.mass[first + p]) /
                                      (off(rounding.energy) * off(rounding.weight));
      const long double share_energy = m[p] / mass[p] * page_energy * reach * reach;
      const long double per_root = 1.0L / std::sqrt(mass[p]);  // what all tokens together leave for the mean of one
      const long double mean = std::min(c, read.spread[first + p] * per_root), r = mean < c ? mean / c : 1.0L;
      excess += m[p] * r * rise;
      excess_square += m[p] * square(r * rise);
      variance += m[p] * square(r * h);
      affinity += m[p] * std::max(std::exp(-0.5L * c), 1.0L - 0.5L * mean);
      shrink += m[p] * std::max(std::exp(-c), 1.0L - mean);
      lift += m[p] * lifted(0.5L * c);
      cosh_lift += m[p] * lifted(c);
      sinh += m[p] * std::sinh(c);
      spread_lift += m[p] * r * r * lifted(0.5L * c);
      spread_lift_square += m[p] * square(r * lifted(0.5L * c));
      spread_cosh_square += m[p] * square(r * lifted(c));
      spread_sinh += m[p] * r * std::sinh(c);
      radius = std::max(radius, c);
      paged_excess += r * rise * std::sqrt(m[p] * share_energy);
      value_residual += m[p] * std::min<long double>(read.value_residual[p], read.value_spread[p] * per_root);
      longest = std::max(longest, reach);
      energy += share_energy;
      const long double share = std::exp(read.max_logit[first + p] - static_cast<long double>(read.log_sum_exp[head]));
      // weights off by `weight`, and their sum: p~ is made of the logits
      const long double page = rounding.page_weight + 2.0L * rounding.weight;
      const long double of_tokens = read.value_residual[p] > 0.0F ? rounding.token_weight : 0.0;
      output_rounding += share * (page * read.mass[first + p] + of_tokens) * reach;
    }
    if (longest > 0.0L) output_rounding += rounding.underflow * std::max(longest, 0x1p-20L);
    for (std::size_t p = 0; p < read.pages; ++p) {
      const long double c = read.radius[first + p];
      if (c == -1.0L || mass[p] == 0.0L) continue;
      lift_variance += m[p] * square(lifted(0.5L * c) - lift);
      cosh_variance += m[p] * square(lifted(c) - cosh_lift);
    }
  }

 private:
  static long double lifted(long double c) { return 2.0L * square(std::sinh(0.5L * c)); }  // cosh(c) - 1
  static long double square(long double x) { return x * x; }
};

}  // namespace mpp::reference

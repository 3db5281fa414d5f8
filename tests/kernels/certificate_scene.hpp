#pragma once
#include <cmath>
#include <limits>

#include <mpp/core/error.hpp>
#include <mpp/kernels/certificate_sums.hpp>

#include "kernels/kernel_test.hpp"
#include "reference/certificate_sums.hpp"

namespace mpp::kernels {

using reference::ExactSums;
using reference::ReadStatistics;

inline constexpr float inf = std::numeric_limits<float>::infinity(), nan = std::numeric_limits<float>::quiet_NaN();

enum ReadFamily {
  ordinary,
  tiny_radii,
  huge_radii,
  spread_logits,
  one_page,
  extreme_values,
  with_omitted,
  cancelling,  // large radii, and means of them next to 1 or 2, where 1 - c' and 1 - c'/2 are 0
  read_families
};

inline ReadStatistics statistics(ReadFamily family, std::size_t pages, std::size_t group, std::uint64_t seed) {
  std::mt19937_64 engine(seed);
  const auto uniform = [&](double low, double high) {
    return std::uniform_real_distribution<double>(low, high)(engine);
  };
  ReadStatistics made;
  made.group = group;
  made.pages = pages;
  const double scale = std::exp(uniform(-5.0, 1.0));
  for (std::size_t i = 0; i < group * pages; ++i) {
    const bool omitted = family == with_omitted && i % pages != 0 && uniform(0.0, 1.0) < 0.3;
    const double logit = uniform(-4.0, 4.0) - (family == spread_logits ? std::exp(uniform(0.0, 7.5)) : 0.0);
    double radius = scale * uniform(0.2, 1.0);
    if (family == tiny_radii) radius = uniform(0.0, 1.0) < 0.2 ? 0.0 : std::exp(-uniform(20.0, 100.0));
    if (family == huge_radii) radius = std::exp(uniform(-3.0, 6.6));
    if (family == spread_logits) radius = std::exp(uniform(-9.0, 6.5));
    if (family == cancelling) radius = uniform(20.0, 60.0);
    const double mass = uniform(0.0, 1.0) < 0.2 ? 1.0 : uniform(1.0, 64.0);
    // Radii of 64 tokens come to 8; less than that of one or more than that of all are as good as any.
    double spread = radius * std::exp(uniform(-3.0, 4.0));
    if (uniform(0.0, 1.0) < 0.15) spread = uniform(0.0, 1.0) < 0.5 ? 0.0 : HUGE_VAL;
    if (family == cancelling)
      spread = std::sqrt(mass) * (uniform(0.0, 1.0) < 0.5 ? 1.0 : 2.0) * (1.0 - std::exp(-uniform(2.0, 12.0)));
    made.max_logit.push_back(static_cast<float>(logit - (omitted ? 5.0 : 0.0)));
    made.mass.push_back(omitted ? 64.0F : static_cast<float>(mass));
    made.radius.push_back(omitted ? -1.0F : static_cast<float>(radius));
    made.spread.push_back(omitted ? 0.0F : static_cast<float>(spread));
    made.energy.push_back(omitted ? 0.0F : static_cast<float>(mass * std::pow(uniform(0.0, 1.0), 4.0)));
  }
  for (std::size_t p = 0; p < pages; ++p) {
    const double size = family == extreme_values ? std::exp(uniform(-100.0, 80.0)) : std::exp(uniform(-1.0, 1.0));
    const double residual = size * (uniform(0.0, 1.0) < 0.2 ? 0.0 : std::exp(-uniform(2.0, 9.0)));
    made.value_reach.push_back(static_cast<float>(size));
    made.value_residual.push_back(static_cast<float>(residual));
    made.value_spread.push_back(static_cast<float>(residual * std::exp(uniform(-1.0, 4.0))));
  }
  made.sum_up();
  return made;
}

/// A field, whether it is rounded up, and what it is by definition. energy_below and energy are of the same sum.
struct Field {
  const char* name;
  double CertificateSums::*sum;
  long double ExactSums::*exact;
  bool up = true;
  bool of_spread = false;  ///< falls with the spread, or with that of values
};
inline constexpr Field fields[] = {
    {"excess", &CertificateSums::excess, &ExactSums::excess, true, true},
    {"variance", &CertificateSums::variance, &ExactSums::variance, true, true},
    {"affinity", &CertificateSums::affinity, &ExactSums::affinity, false, true},
    {"shrink", &CertificateSums::shrink, &ExactSums::shrink, false, true},
    {"lift", &CertificateSums::lift, &ExactSums::lift},
    {"lift_variance", &CertificateSums::lift_variance, &ExactSums::lift_variance},
    {"cosh_variance", &CertificateSums::cosh_variance, &ExactSums::cosh_variance},
    {"sinh", &CertificateSums::sinh, &ExactSums::sinh},
    {"sinh_below", &CertificateSums::sinh_below, &ExactSums::sinh, false},
    {"spread_lift", &CertificateSums::spread_lift, &ExactSums::spread_lift, true, true},
    {"spread_lift_square", &CertificateSums::spread_lift_square, &ExactSums::spread_lift_square, true, true},
    {"spread_cosh_square", &CertificateSums::spread_cosh_square, &ExactSums::spread_cosh_square, true, true},
    {"spread_sinh", &CertificateSums::spread_sinh, &ExactSums::spread_sinh, true, true},
    {"radius", &CertificateSums::radius, &ExactSums::radius},
    {"excess_square", &CertificateSums::excess_square, &ExactSums::excess_square, true, true},
    {"paged_excess", &CertificateSums::paged_excess, &ExactSums::paged_excess, true, true},
    {"value_residual", &CertificateSums::value_residual, &ExactSums::value_residual, true, true},
    {"energy", &CertificateSums::energy, &ExactSums::energy},
    {"energy_below", &CertificateSums::energy_below, &ExactSums::energy, false},
    {"omitted", &CertificateSums::omitted, &ExactSums::omitted},
    {"omitted_reach", &CertificateSums::omitted_reach, &ExactSums::omitted_reach},
    {"output_rounding", &CertificateSums::output_rounding, &ExactSums::output_rounding},
};
inline const Field& field_of(double CertificateSums::*sum) {
  return *std::ranges::find_if(fields, [sum](const Field& field) { return field.sum == sum; });
}

class CertificateSumsTest : public KernelTest {
 protected:
  static std::vector<CertificateSums> run(const ReadStatistics& read) { return run(std::vector<ReadStatistics>{read}); }
  static std::vector<CertificateSums> run(const std::vector<ReadStatistics>& reads) {
    struct Uploaded {
      DeviceArray<float> max_logit, mass, radius, spread, energy, value_residual, value_spread, value_reach;
      DeviceArray<double> log_sum_exp;
    };
    std::vector<Uploaded> uploaded;
    std::vector<KvRead> views;
    for (const ReadStatistics& read : reads) {
      uploaded.push_back({upload(read.max_logit), upload(read.mass), upload(read.radius), upload(read.spread),
                          upload(read.energy), upload(read.value_residual), upload(read.value_spread),
                          upload(read.value_reach), upload(read.log_sum_exp)});
      Uploaded& on = uploaded.back();
      KvRead view;
      view.page_count = read.pages;
      view.log_sum_exp = on.log_sum_exp.span().data();
      view.statistics = {.max_logit = on.max_logit.span().data(),
                         .mass = on.mass.span().data(),
                         .radius = on.radius.span().data(),
                         .spread = on.spread.span().data(),
                         .energy = on.energy.span().data(),
                         .value_residual = on.value_residual.span().data(),
                         .value_spread = on.value_spread.span().data(),
                         .value_reach = on.value_reach.span().data()};
      views.push_back(view);
    }
    AttendShape shape;
    shape.head_dim = 64;
    shape.group = reads.front().group;
    std::vector<CertificateSums> sums(reads.size() * shape.group);
    certificate_sums(context(), shape, views, sums);
    return sums;
  }

  static void leave(CertificateSums&) {}
  static void leave_read(ReadStatistics&) {}

  /// How often a sum is not on its side of what the statistics may mean. `change_read` breaks the statistics that are summed,
  /// `change` the sums, both as a kernel with a mistake would.
  /// @param only  the field to look at; null for all
  template <class ChangeRead, class Change>
  static std::size_t violations(ChangeRead&& change_read, Change&& change, std::size_t cases,
                                const Field* only = nullptr) {
    std::mt19937_64 signs(5);
    std::size_t violated = 0;
    for (std::size_t i = 0; i < cases; ++i) {
      const auto family = static_cast<ReadFamily>(i % read_families);
      const std::size_t pages = family == one_page ? 1 : family == cancelling ? 1 + i / 16 % 3 : 1 + (i * 7) % 40;
      const ReadStatistics read = statistics(family, pages, 1 + i % 3, i);
      const AttendRounding rounding = attend_rounding(pages);
      ReadStatistics summed = read;
      change_read(summed);
      std::vector<CertificateSums> sums = run(summed);
      for (std::size_t head = 0; head < read.group; ++head) {
        change(sums[head]);
        for (const long double part : {0.0L, 0.999L, 0.999L}) {
          const ExactSums exact(read, head, rounding, signs, part);
          for (const Field& field : fields) {
            if (only != nullptr && only->sum != field.sum) continue;
            const double sum = sums[head].*field.sum;
            const long double limit = exact.*field.exact;  // long double: 2^-64, and 40 additions
            const bool holds = field.up ? sum >= limit * (1.0L - 0x1p-55L) : sum <= limit * (1.0L + 0x1p-55L);
            if (!holds || std::isnan(sum)) ++violated;
          }
        }
      }
    }
    return violated;
  }
  template <class Change>
  static std::size_t violations(Change&& change, std::size_t cases) {
    return violations(leave_read, change, cases);
  }
};

}  // namespace mpp::kernels

#pragma once
// What certifying costs: requests that have to be observed, and the time of a limit.
#include <functional>
#include <iostream>
#include <string>
#include <utility>
#include <vector>

#include <mpp/core/guarantees/calibrate.hpp>
#include <mpp/core/guarantees/limits.hpp>
#include <mpp/core/guarantees/sample_size.hpp>

#include "bench_json.hpp"
#include "statistical/distributions.hpp"

namespace mpp::bench {

/// Whether n requests without a violation certify 1 % with confidence 95 %; the refusal, if they do not.
inline std::pair<bool, std::string> certifies_clean(std::size_t n) {
  const std::vector<double> clean(n, 0.0);
  try {
    return {guarantees::calibrate_policy(clean, std::vector{0.5}, {.risk = {0.01}, .beta = {0.05}}).index.has_value(),
            ""};
  } catch (const guarantees::CalibrationSizeError& error) {
    return {false, error.what()};
  }
}

/// @return whether 299 clean requests certify 1 % at 95 %, and 298 are refused with the size that is needed
inline bool measure_size(Report& report) {
  const std::uint64_t needed = guarantees::minimum_samples({0.01}, {0.05});
  const auto [too_few, refusal] = certifies_clean(needed - 1);
  report.set("guarantees.clean_samples_1pct", static_cast<double>(needed));
  report.set("guarantees.clean_samples_01pct", static_cast<double>(guarantees::minimum_samples({0.001}, {0.05})));
  std::cerr << needed - 1 << " clean requests: " << refusal << '\n';
  return needed == 299 && certifies_clean(needed).first && !too_few && refusal.find("299") != std::string::npos;
}

/// Microseconds per limit at n = 1000: 10 violations, or graded losses with mean 1 %.
inline void measure_time(Report& report) {
  using namespace guarantees;
  statistical::Uniform uniform(3);
  const auto losses = statistical::draw(statistical::graded_distributions()[1], 1000, uniform);  // Beta(1, 99)
  const std::vector<std::pair<std::string, std::function<double()>>> limits{
      {"clopper_pearson",
       [] {
         return clopper_pearson_upper({10, 1000}, {0.05});
       }},
      {"hoeffding_bentkus", [&] { return hoeffding_bentkus_upper(losses, {0.05}); }},
      {"empirical_bernstein", [&] { return empirical_bernstein_upper(losses, {0.05}); }},
      {"betting", [&] { return betting_upper(losses, {0.05}); }},
      {"binomial_p",
       [] {
         return binomial_p({10, 1000}, 0.02);
       }},
      {"betting_p", [&] { return betting_p(losses, 0.02); }},
  };
  for (const auto& [name, limit] : limits) {
    std::vector<double> us;
    double value = 0.0;
    for (int repetition = 0; repetition < (report.quick() ? 50 : 500); ++repetition) {
      const ThreadStopwatch watch;
      value = limit();
      us.push_back(watch.seconds() * 1e6);
    }
    report.spread("guarantees.us." + name, us);
    report.set("guarantees.value." + name, value);  // so that the work is not left out, and to see which is tighter
  }
}

}  // namespace mpp::bench

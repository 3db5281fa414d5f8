#pragma once
// How soon the drift detector finds a rise of the violation rate, and how long it takes to find one that is not there.
#include "bench_json.hpp"
#include "statistical/drift_simulation.hpp"

namespace mpp::bench {

/// Allowed rate 1 %, 20,000 audits at half of it, then a multiple; threshold 1e5 audits.
/// @return whether a doubling is found within a median of 1,400 audits and false alarms come no sooner than promised
inline bool measure_audit(Report& report) {
  const ThreadStopwatch watch;
  const int runs = report.quick() ? 400 : 4000;
  bool in_time = false;
  for (const int factor : {2, 3, 5, 10}) {
    int early = 0;
    const auto delays = statistical::drift_delays(factor * statistical::allowed_rate, runs, &early);
    const std::vector<double> audits(delays.begin(), delays.end());
    const std::string name = "x" + std::to_string(factor);
    report.set("audit.median_delay_" + name, median(audits));
    report.set("audit.p90_delay_" + name, quantile(audits, 0.9));
    if (factor == 2) report.set("audit.alarms_before_the_rise", static_cast<double>(early) / runs);
    if (factor == 2) in_time = median(audits) <= 1400.0;
  }
  const int long_runs = report.quick() ? 2500 : 20'000;  // fewer cannot tell 1.4e5 from 1e5 at confidence 1 - 1e-6
  const auto found = statistical::false_alarms(statistical::allowed_rate, long_runs, 1'000'000);
  report.set("audit.mean_time_to_false_alarm", found.mean);
  report.set("audit.mean_time_to_false_alarm_lower", found.lower);
  report.set("audit.runs_without_false_alarm", static_cast<double>(found.without) / long_runs);
  report.set("audit.simulation_s", watch.seconds());
  return in_time && found.lower >= statistical::mean_time_to_alarm;
}

}  // namespace mpp::bench

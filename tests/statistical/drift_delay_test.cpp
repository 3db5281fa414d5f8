#include <gtest/gtest.h>

#include <iostream>

#include <mpp/core/guarantees/e_process.hpp>

#include "statistical/drift_simulation.hpp"

namespace mpp::statistical {
namespace {

TEST(DriftDelay, ADoubledRateIsFoundWithinAMedianOf1400Audits) {
  int early = 0;
  const auto found = drift_delays(2 * allowed_rate, 1000, &early);
  const std::int64_t median = found[found.size() / 2];
  std::cout << "rate x2: median " << median << ", 90 % " << found[found.size() * 9 / 10] << " audits; " << early
            << " of 1000 runs alarmed before the rise\n";
  EXPECT_LE(median, 1400);
  EXPECT_LE(early, 200 + 100);  // 20,000 losses at A = 1e5: the chance is at most 0.2; Hoeffding at 1e-9 adds 0.102
}

TEST(DriftDelay, LargerRisesAreFoundSooner) {
  std::int64_t before = 1400;
  for (const double factor : {3.0, 5.0, 10.0, 50.0}) {
    const auto found = drift_delays(factor * allowed_rate, 200);
    const std::int64_t median = found[found.size() / 2];
    std::cout << "rate x" << factor << ": median " << median << " audits\n";
    EXPECT_LT(median, before);
    before = median;
  }
}

// The trap of the lifetime claim, and why both detectors are there: evidence for compliance must be lost first.
TEST(DriftDelay, TheLifetimeEvidenceNeedsMuchLonger) {
  std::vector<std::int64_t> found;
  for (std::uint64_t run = 0; run < 40; ++run) {
    guarantees::EProcess process(Delta{allowed_rate});
    const auto alarm = [](const guarantees::EProcess& p) { return p.alarm(Delta{0.01}); };
    if (time_to_alarm(process, alarm, allowed_rate / 2, 20000, 2 * run) < 20000) continue;
    found.push_back(time_to_alarm(process, alarm, 2 * allowed_rate, 60000, 2 * run + 1));
  }
  std::sort(found.begin(), found.end());
  std::cout << "e-process, rate x2: median " << found[found.size() / 2] << " audits\n";
  EXPECT_GT(found[found.size() / 2], 5000);
}

TEST(FalseDrift, AtTheAllowedRateComesAfter100000AuditsOnAverage) {
  const FalseAlarms found = false_alarms(allowed_rate, 3000, 1'000'000);
  std::cout << "at the allowed rate: mean time to a false alarm at least " << found.mean << " (lower limit "
            << found.lower << "), " << found.without << " of 3000 runs without one in 1e6 audits\n";
  EXPECT_GE(found.lower, mean_time_to_alarm);
}
TEST(FalseDrift, TheTestAboveCatchesARateThatIsNotAllowed) {
  EXPECT_LT(false_alarms(1.3 * allowed_rate, 100, 1'000'000).mean, mean_time_to_alarm);
}

}  // namespace
}  // namespace mpp::statistical

// How soon a rise of the violation rate is found, and how rarely one is found that is not there.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <iostream>
#include <random>
#include <vector>

#include <mpp/core/guarantees/e_process.hpp>
#include <mpp/core/guarantees/shiryaev_roberts.hpp>

namespace mpp::guarantees {
namespace {

constexpr double allowed = 0.01, mean_time = 1e5;

// Losses up to the next violation: violations come after geometric numbers of compliant losses.
class Violations {
 public:
  Violations(double rate, std::uint64_t seed) : random_(seed), gap_(rate), next_(gap_(random_)) {}
  double next() { return next_-- > 0 ? 0.0 : (next_ = gap_(random_), 1.0); }

 private:
  std::mt19937_64 random_;
  std::geometric_distribution<std::int64_t> gap_;
  std::int64_t next_;
};

/// Losses until the alarm at a rate, at most `most`.
template <class Detector, class Alarm>
std::int64_t time_to_alarm(Detector& detector, Alarm alarm, double rate, std::int64_t most, std::uint64_t seed) {
  Violations losses(rate, seed);
  for (std::int64_t t = 1; t <= most; ++t) {
    detector.observe(losses.next());
    if (alarm(detector)) return t;
  }
  return most;
}
bool drifted(const ShiryaevRoberts& detector) { return detector.alarm(mean_time); }

/// Sorted delays after 20,000 losses at half the allowed rate; runs that alarm before the rise are left out and counted.
std::vector<std::int64_t> delays(double rate, int runs, int* early = nullptr) {
  std::vector<std::int64_t> found;
  for (int run = 0; run < runs; ++run) {
    ShiryaevRoberts detector(Delta{allowed});
    const auto seed = static_cast<std::uint64_t>(run);
    if (time_to_alarm(detector, drifted, allowed / 2, 20000, 2 * seed) < 20000) {
      if (early != nullptr) ++*early;
      continue;
    }
    found.push_back(time_to_alarm(detector, drifted, rate, 200000, 2 * seed + 1));
  }
  std::sort(found.begin(), found.end());
  return found;
}

TEST(DriftDelay, ADoubledRateIsFoundWithinAMedianOf1400Audits) {
  int early = 0;
  const auto found = delays(2 * allowed, 1000, &early);
  const std::int64_t median = found[found.size() / 2];
  std::cout << "rate x2: median " << median << ", 90 % " << found[found.size() * 9 / 10] << " audits; " << early
            << " of 1000 runs alarmed before the rise\n";
  EXPECT_LE(median, 1400);
  EXPECT_LE(early, 200 + 100);  // 20,000 losses at A = 1e5: the chance is at most 0.2; Hoeffding at 1e-9 adds 0.102
}

TEST(DriftDelay, LargerRisesAreFoundSooner) {
  std::int64_t before = 1400;
  for (const double factor : {3.0, 5.0, 10.0, 50.0}) {
    const auto found = delays(factor * allowed, 200);
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
    EProcess process(Delta{allowed});
    const auto alarm = [](const EProcess& p) { return p.alarm(Delta{0.01}); };
    if (time_to_alarm(process, alarm, allowed / 2, 20000, 2 * run) < 20000) continue;
    found.push_back(time_to_alarm(process, alarm, 2 * allowed, 60000, 2 * run + 1));
  }
  std::sort(found.begin(), found.end());
  std::cout << "e-process, rate x2: median " << found[found.size() / 2] << " audits\n";
  EXPECT_GT(found[found.size() / 2], 5000);
}

// ---- false alarms ----

struct FalseAlarms {
  double mean;      // of min(time, most): at most the true mean time
  double lower;     // of a one-sided interval for it, 1e-6
  int without = 0;  // runs that reached `most`
};
FalseAlarms false_alarms(double rate, int runs, std::int64_t most) {
  FalseAlarms result{};
  double square = 0.0;
  for (int run = 0; run < runs; ++run) {
    ShiryaevRoberts detector(Delta{allowed});
    const auto time =
        static_cast<double>(time_to_alarm(detector, drifted, rate, most, 1'000'000 + static_cast<std::uint64_t>(run)));
    result.mean += time / runs;
    square += time * time / runs;
    result.without += time >= static_cast<double>(most);
  }
  // Empirical Bernstein (Maurer and Pontil 2009, Theorem 4) for times in [0, most].
  const double variance = (square - result.mean * result.mean) * runs / (runs - 1);
  const double log_term = std::log(2.0 / 1e-6), n = runs;
  result.lower = result.mean - std::sqrt(2.0 * variance * log_term / n) -
                 7.0 * static_cast<double>(most) * log_term / (3.0 * (n - 1.0));
  return result;
}

TEST(FalseDrift, AtTheAllowedRateComesAfter100000AuditsOnAverage) {
  const FalseAlarms found = false_alarms(allowed, 3000, 1'000'000);
  std::cout << "at the allowed rate: mean time to a false alarm at least " << found.mean << " (lower limit "
            << found.lower << "), " << found.without << " of 3000 runs without one in 1e6 audits\n";
  EXPECT_GE(found.lower, mean_time);
}
TEST(FalseDrift, TheTestAboveCatchesARateThatIsNotAllowed) {
  EXPECT_LT(false_alarms(1.3 * allowed, 100, 1'000'000).mean, mean_time);
}

}  // namespace
}  // namespace mpp::guarantees

#pragma once
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <random>
#include <vector>

#include <mpp/core/guarantees/shiryaev_roberts.hpp>

/// Simulated audits: how soon a rise of the violation rate is found, and how rarely one is found that is not there.
namespace mpp::statistical {

inline constexpr double allowed_rate = 0.01, mean_time_to_alarm = 1e5;

/// Losses up to the next violation: violations come after geometric numbers of compliant losses.
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
inline bool drifted(const guarantees::ShiryaevRoberts& detector) { return detector.alarm(mean_time_to_alarm); }

/// Sorted delays after 20,000 losses at half the allowed rate; runs that alarm before the rise are left out and counted.
inline std::vector<std::int64_t> drift_delays(double rate, int runs, int* early = nullptr) {
  std::vector<std::int64_t> found;
  for (int run = 0; run < runs; ++run) {
    guarantees::ShiryaevRoberts detector(Delta{allowed_rate});
    const auto seed = static_cast<std::uint64_t>(run);
    if (time_to_alarm(detector, drifted, allowed_rate / 2, 20000, 2 * seed) < 20000) {
      if (early != nullptr) ++*early;
      continue;
    }
    found.push_back(time_to_alarm(detector, drifted, rate, 200000, 2 * seed + 1));
  }
  std::sort(found.begin(), found.end());
  return found;
}

struct FalseAlarms {
  double mean = 0.0;   ///< of min(time, most): at most the true mean time
  double lower = 0.0;  ///< of a one-sided interval for it, 1e-6
  int without = 0;     ///< runs that reached `most`
};
inline FalseAlarms false_alarms(double rate, int runs, std::int64_t most) {
  FalseAlarms result;
  double square = 0.0;
  for (int run = 0; run < runs; ++run) {
    guarantees::ShiryaevRoberts detector(Delta{allowed_rate});
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

}  // namespace mpp::statistical

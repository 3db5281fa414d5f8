#pragma once
#include <mpp/core/guarantees/alternatives.hpp>

namespace mpp::guarantees {

/// Detects that the rate of violations has risen above the allowed rate a, however long it was below before.
///
/// For losses x in [0, 1], with m over the eight odds_ratios and equal weights, one recursion each from R = 0:
///
///     R <- (1 + R) (1 + (m - 1) x) / (1 + (m - 1) a),    value = mean of R over m.
///
/// It sums, over every moment at which the change may have come, the evidence since then. If the mean of every loss,
/// given those before it, is at most a, then value - t is a supermartingale, so a detector that stops when the value
/// reaches A stops, on average, after at least A losses: a threshold is a mean time to a false alarm.
///
/// value() is rounded down, never overstated: docs/guarantees_audit.md.
/// Not thread-safe. Source: Shiryaev 1963, Roberts 1966; for any supermartingale: Shin, Ramdas and Rinaldo, "E-detectors",
/// 2023, Theorem 2.4.
class ShiryaevRoberts {
 public:
  static constexpr double max_threshold = 0x1p900;
  static constexpr double max_sum = 0x1p1000;  ///< every R stops here: an infinite one would say more than is known

  /// @param allowed  the rate a, in [min_allowed_rate, 1)
  /// @throws ValueError otherwise
  explicit ShiryaevRoberts(Delta allowed);
  /// Continues where an earlier one stopped: the same bits go on to the same bits.
  /// @throws ValueError unless every value is in [0, max_sum]
  ShiryaevRoberts(Delta allowed, const PerAlternative& sums);

  /// @param loss  in [0, 1]
  /// @throws ValueError if it is not, NaN included; nothing changes then
  void observe(double loss);

  /// The mean of R, rounded down.
  [[nodiscard]] double value() const;
  /// value() has reached the threshold.
  /// @param mean_time  in losses; in [1, max_threshold]
  [[nodiscard]] bool alarm(double mean_time) const;

  [[nodiscard]] const PerAlternative& sums() const { return sums_; }

 private:
  PerAlternative shrink_;  // 1 / (1 + (m - 1) a), rounded down by more than all roundings of one step
  PerAlternative sums_{};  // R
};

}  // namespace mpp::guarantees

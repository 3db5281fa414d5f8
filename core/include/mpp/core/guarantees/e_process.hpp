#pragma once
#include <mpp/core/guarantees/alternatives.hpp>

namespace mpp::guarantees {

/// Evidence that the rate of violations is above the allowed rate a, valid at every moment.
///
/// For losses x in [0, 1] (0/1: violated or not), with m over the eight odds_ratios and equal weights,
///
///     E_t = mean over m of the product over i <= t of (1 + (m - 1) x_i) / (1 + (m - 1) a).
///
/// If the mean of every loss, given those before it, is at most a, then each factor has mean at most 1 and E_t is a
/// supermartingale that starts at 1: E[E_t] <= 1 at any stopping time, and P(E_t >= 1/alpha at any t) <= alpha (Ville).
/// For 0/1 losses this is the likelihood ratio against rate q of alternatives.hpp. No independence is needed.
///
/// log_value() is rounded down, never overstated: docs/guarantees_audit.md has the arithmetic, and the one assumption, that
/// exp, log and log1p of the C library err by at most 4 units in the last place (glibc states 1).
/// Ever more compliant losses lower E_t, and it needs as long to rise again: drift is the business of ShiryaevRoberts.
///
/// Not thread-safe. Source: Ville 1939; Waudby-Smith and Ramdas 2024 (betting); mixtures: Robbins 1970.
class EProcess {
 public:
  /// @param allowed  the rate a, in [min_allowed_rate, 1)
  /// @throws ValueError otherwise
  explicit EProcess(Delta allowed);
  /// Continues where an earlier one stopped: the same bits go on to the same bits.
  /// @throws ValueError unless every value is finite
  EProcess(Delta allowed, const PerAlternative& log_wealth);

  /// @param loss  in [0, 1]; for a loss that is not 0 or 1, eight logarithms are taken
  /// @throws ValueError if it is not, NaN included; nothing changes then
  void observe(double loss);

  /// Natural logarithm of E_t, rounded down.
  [[nodiscard]] double log_value() const;
  /// E_t >= 1/alpha for sure: under a rate of at most a, this is true at any t with probability at most alpha.
  /// @param alpha  in (0, 1)
  [[nodiscard]] bool alarm(Delta alpha) const;

  [[nodiscard]] const PerAlternative& log_wealth() const { return log_wealth_; }

 private:
  PerAlternative log_start_;      // log1p((m - 1) a), rounded up
  PerAlternative log_compliant_;  // of the factor for x = 0, rounded down
  PerAlternative log_violation_;  // of the factor for x = 1, rounded down
  PerAlternative log_wealth_{};   // of the products, rounded down; 0 is the logarithm of 1
};

}  // namespace mpp::guarantees

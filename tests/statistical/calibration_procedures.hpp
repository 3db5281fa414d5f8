#pragma once
#include <limits>
#include <numeric>
#include <optional>
#include <vector>

#include <mpp/core/guarantees/calibrate.hpp>

#include "statistical/calibration_checks.hpp"

/// The library's calibrations in the form in which calibration_checks.hpp tests any.
namespace mpp::statistical {

inline std::optional<std::size_t> library_selection(std::span<const std::vector<double>> losses, double risk,
                                                    Delta level) {
  std::vector<double> table, thresholds(losses.size());
  for (const std::vector<double>& row : losses) table.insert(table.end(), row.begin(), row.end());
  std::iota(thresholds.rbegin(), thresholds.rend(), 0.0);
  return guarantees::calibrate_policy(table, thresholds, {.risk = {risk}, .beta = level}).index;
}
inline std::optional<std::size_t> library_graded_selection(std::span<const std::vector<double>> losses, double risk,
                                                           Delta level) {
  std::vector<double> table, thresholds(losses.size());
  for (const std::vector<double>& row : losses) table.insert(table.end(), row.begin(), row.end());
  std::iota(thresholds.rbegin(), thresholds.rend(), 0.0);
  const guarantees::PolicyClaim claim{.risk = {risk}, .beta = level, .kind = guarantees::LossKind::graded};
  return guarantees::calibrate_policy(table, thresholds, claim).index;
}

inline double library_threshold(std::span<const Request> requests, double risk, Delta level) {
  const std::vector<double> thresholds{7, 6, 5, 4, 3, 2, 1, 0};  // all signals there are
  std::vector<double> losses;
  for (const double threshold : thresholds)
    for (const Request& request : requests)
      losses.push_back(request.violates && request.signal >= threshold ? 1.0 : 0.0);
  const auto result = guarantees::calibrate_policy(losses, thresholds, {.risk = {risk}, .beta = level});
  return result.index ? result.threshold : std::numeric_limits<double>::infinity();
}

/// +infinity where the library refuses.
inline double library_kappa(std::span<const double> scores, double risk, std::optional<Delta> beta) {
  try {
    return guarantees::calibrate_ratio(scores, {.risk = {risk}, .beta = beta}).kappa;
  } catch (const guarantees::CalibrationSizeError&) {
    return std::numeric_limits<double>::infinity();
  }
}

}  // namespace mpp::statistical

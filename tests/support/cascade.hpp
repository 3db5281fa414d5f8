#pragma once
#include <algorithm>
#include <array>
#include <span>
#include <vector>

#include <mpp/core/control/controller.hpp>
#include <mpp/core/guarantees/calibrate.hpp>

/// A cascade whose requests carry what happens to them: two cheap levels with an error and a signal each, and the exact one.
namespace mpp::test {

struct CascadeRequest {
  std::array<double, 2> errors{};
  std::array<double, 2> signals{};
};

struct CascadeTier {
  using Request = CascadeRequest;
  struct State {};
  using Result = double;  ///< its error

  std::size_t levels() const { return 3; }
  Footprint footprint(const Request&, Level) const { return {}; }
  Footprint increment(const Request&, const State&, Level) const { return {}; }
  void materialise(const Request&, State&, Level) const {}
  double execute(const Request& request, const State&, Level level) const {
    return level < request.errors.size() ? request.errors[level] : 0.0;
  }
};

struct CascadeSignal {
  HeuristicScore signal(const CascadeRequest& request, const CascadeTier::State&, const double&, Level level) const {
    return {request.signals[level]};
  }
};

/// Whether the policy with this threshold releases a result that violates epsilon.
inline bool violates(const CascadeRequest& request, double threshold, double epsilon) {
  for (std::size_t level = 0; level < request.errors.size(); ++level)
    if (request.signals[level] >= threshold) return request.errors[level] > epsilon;
  return false;
}

/// Losses of every threshold, shape [thresholds, requests].
inline std::vector<double> policy_losses(std::span<const CascadeRequest> requests, std::span<const double> thresholds,
                                         double epsilon) {
  std::vector<double> losses;
  losses.reserve(thresholds.size() * requests.size());
  for (const double threshold : thresholds)
    for (const CascadeRequest& request : requests) losses.push_back(violates(request, threshold, epsilon) ? 1.0 : 0.0);
  return losses;
}

}  // namespace mpp::test

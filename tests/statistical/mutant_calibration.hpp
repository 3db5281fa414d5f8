#pragma once
#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <optional>
#include <span>
#include <vector>

#include <mpp/core/guarantees/limits.hpp>

#include "statistical/calibration_checks.hpp"
#include "statistical/procedures.hpp"

/// Small calibration rules, sound with no mistake set, and the mistakes that are made in them.
namespace mpp::statistical::mutant {

struct Rank {
  bool clamped = false;        // a rank above n becomes n
  bool truncated = false;      // floor for ceil
  bool no_test_point = false;  // n for n + 1: the request that is still to come is forgotten
};
inline double conformal_kappa(std::span<const double> scores, double delta, Rank mistake) {
  const double n = static_cast<double>(scores.size());
  const double exact = (mistake.no_test_point ? n : n + 1.0) * (1.0 - delta);
  auto rank = static_cast<std::size_t>(mistake.truncated ? std::floor(exact) : std::ceil(exact));
  if (rank > scores.size()) {
    if (!mistake.clamped) return std::numeric_limits<double>::infinity();
    rank = scores.size();
  }
  std::vector<double> sorted(scores.begin(), scores.end());
  std::sort(sorted.begin(), sorted.end());
  return rank == 0 ? -std::numeric_limits<double>::infinity() : sorted[rank - 1];
}
// The mean of the quantiles of chunks: a quantile routine took only so many values at a time.
inline double chunk_quantiles(std::span<const double> scores, double delta) {
  const std::size_t chunk = std::max<std::size_t>(1, scores.size() / 9);
  double sum = 0.0;
  double chunks = 0.0;
  for (std::size_t from = 0; from + chunk <= scores.size(); from += chunk, ++chunks)
    sum += conformal_kappa(scores.subspan(from, chunk), delta, {});
  return sum / chunks;
}

struct Sequence {
  bool first_failing = false;  // off by one: the configuration at which the test stopped is returned
  bool no_stop = false;        // tests every configuration at the full level: the union is omitted
  bool reordered = false;      // tests in the order of the losses on the same calibration set
};
inline std::optional<std::size_t> fixed_sequence(std::span<const std::vector<double>> losses, double risk, Delta delta,
                                                 Sequence mistake) {
  std::vector<std::size_t> order(losses.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  if (mistake.reordered)
    std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
      return count(losses[a]).violations < count(losses[b]).violations;
    });
  std::optional<std::size_t> selected;
  for (const std::size_t j : order) {
    if (guarantees::binomial_p(count(losses[j]), risk) <= delta.value) {
      selected = mistake.reordered ? std::max(j, selected.value_or(0)) : j;
    } else if (!mistake.no_stop) {
      return mistake.first_failing ? std::optional(j) : selected;
    }
  }
  return selected;
}

// Thresholds from the highest signal down. Tie flip: a request whose signal equals the threshold is released, but the
// calibration did not count it.
inline double signal_threshold(std::span<const Request> requests, double risk, Delta delta, bool tie_flip) {
  std::vector<double> signals;
  for (const Request& request : requests) signals.push_back(request.signal);
  std::sort(signals.begin(), signals.end(), std::greater<>());
  signals.erase(std::unique(signals.begin(), signals.end()), signals.end());
  double threshold = std::numeric_limits<double>::infinity();
  for (const double candidate : signals) {
    guarantees::Count released{0, requests.size()};
    for (const Request& request : requests)
      released.violations +=
          request.violates && (tie_flip ? request.signal > candidate : request.signal >= candidate) ? 1 : 0;
    if (guarantees::binomial_p(released, risk) > delta.value) break;
    threshold = candidate;
  }
  return threshold;
}

}  // namespace mpp::statistical::mutant

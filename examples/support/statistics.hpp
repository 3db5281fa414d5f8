#pragma once
#include <algorithm>
#include <cmath>
#include <cstddef>
#include <numeric>
#include <vector>

#include <nlohmann/json.hpp>

#include <mpp/core/error.hpp>

namespace mpp::examples {

/// The smallest sample that at least a share q of the samples does not exceed (nearest rank): always a value that
/// occurred, so a p99 in bytes is what some request really held. Infinity sorts last.
/// @throws ValueError if there is no sample or q is outside [0, 1]
inline double quantile(std::vector<double> samples, double q) {
  expects<ValueError>(!samples.empty(), "quantile: no samples, expected at least 1");
  expects<ValueError>(q >= 0.0 && q <= 1.0, "quantile: q is ", q, ", expected a value in [0, 1]");
  const auto rank = static_cast<std::size_t>(std::ceil(q * static_cast<double>(samples.size())));
  const auto place = samples.begin() + static_cast<std::ptrdiff_t>(std::max<std::size_t>(rank, 1) - 1);
  std::nth_element(samples.begin(), place, samples.end());
  return *place;
}

inline double median(std::vector<double> samples) { return quantile(std::move(samples), 0.5); }

inline double total(const std::vector<double>& samples) { return std::accumulate(samples.begin(), samples.end(), 0.0); }

/// @throws ValueError if there is no sample
inline double mean(const std::vector<double>& samples) {
  expects<ValueError>(!samples.empty(), "mean: no samples, expected at least 1");
  return total(samples) / static_cast<double>(samples.size());
}

/// What a figure shows of many values at one place.
struct Quantiles {
  double low{}, mid{}, high{}, most{};  ///< 10 %, 50 %, 90 %, 100 %

  /// @throws ValueError if there is no sample
  static Quantiles of(const std::vector<double>& samples) {
    return {quantile(samples, 0.1), median(samples), quantile(samples, 0.9), quantile(samples, 1.0)};
  }
};

/// JSON has no infinity: null stands for it.
inline nlohmann::json to_json(const Quantiles& q) {
  return {{"p10", q.low}, {"p50", q.mid}, {"p90", q.high}, {"max", q.most}};
}

}  // namespace mpp::examples

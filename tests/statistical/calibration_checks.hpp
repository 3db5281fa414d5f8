#pragma once
#include <algorithm>
#include <array>
#include <cmath>
#include <functional>
#include <limits>
#include <optional>
#include <span>
#include <vector>

#include "statistical/validity.hpp"

/// Checks of what calibration does with limits: ranks, orders of configurations, thresholds. True if the procedure is
/// refuted by an exact binomial test, with the same family-wise level as the validity check.
namespace mpp::statistical {

inline bool too_often(std::uint64_t misses, std::uint64_t replicates, double delta) {
  return binomial_at_least(misses, replicates, delta) < family_wise / family_size;
}

/// Split-conformal rank: from n scores a kappa that the next score stays within, with probability at least 1 - delta.
struct RankRule {
  std::function<double(std::span<const double> scores, double delta)> kappa;
  std::function<bool(double score, double kappa)> covers = [](double score, double bound) { return score <= bound; };
};
inline bool refutes_rank(const RankRule& rule, const Scale& scale) {
  Uniform uniform(scale.seed);
  const auto replicates = static_cast<std::uint64_t>(20000.0 * scale.replicates);
  for (const std::size_t n : {5U, 9U, 20U, 50U, 99U})
    for (const double delta : ValidityCheck::deltas)
      for (const bool atoms : {false, true}) {  // scores without ties, and 0 or 1 with the quantile well inside the 1
        const auto score = [&] {
          const double x = uniform();
          return atoms ? static_cast<double>(x < 1.5 * delta) : x;
        };
        std::uint64_t misses = 0;
        std::vector<double> scores(n);
        for (std::uint64_t i = 0; i < replicates; ++i) {
          for (double& s : scores) s = score();
          misses += !rule.covers(score(), rule.kappa(scores, delta));
        }
        if (too_often(misses, replicates, delta)) return true;
      }
  return false;
}

/// Fixed-sequence selection: losses[j] are the 0/1 losses of configuration j, from conservative to aggressive. Returns
/// the one to run, or none. With probability at least 1 - delta the risk of that one is below `risk`.
using Selection =
    std::function<std::optional<std::size_t>(std::span<const std::vector<double>> losses, double risk, Delta delta)>;
inline bool refutes_selection(const Selection& select, const Scale& scale) {
  constexpr double risk = 0.0625;
  Uniform uniform(scale.seed);
  const auto replicates = static_cast<std::uint64_t>(2000.0 * scale.replicates);
  const Distribution at_the_boundary = bernoulli(risk);
  for (const double delta : ValidityCheck::deltas)
    for (const std::size_t good : {0U, 1U, 3U}) {  // so many configurations never fail, all others are at the boundary
      std::uint64_t misses = 0;
      for (std::uint64_t i = 0; i < replicates; ++i) {
        std::vector<std::vector<double>> losses(10, std::vector<double>(200, 0.0));
        for (std::size_t j = good; j < losses.size(); ++j) losses[j] = draw(at_the_boundary, 200, uniform);
        const auto selected = select(losses, risk, Delta{delta});
        misses += selected && *selected >= good;
      }
      if (too_often(misses, replicates, delta)) return true;
    }
  return false;
}

/// A request whose output is released if its signal is at least the threshold.
struct Request {
  double signal;
  bool violates;
};
/// The threshold to run with, +infinity to release nothing. With probability at least 1 - delta the share of requests
/// that are released and violate is below `risk`.
using ThresholdRule = std::function<double(std::span<const Request> requests, double risk, Delta delta)>;
inline bool refutes_threshold(const ThresholdRule& rule, const Scale& scale) {
  constexpr double risk = 0.0625;
  constexpr int levels = 8;  // signals 0 to 7, equally likely: all tied with many others
  constexpr int worst = 3;   // only those with signal 3 violate, every other one: a share of 1/16 of all requests
  Uniform uniform(scale.seed);
  const auto replicates = static_cast<std::uint64_t>(2000.0 * scale.replicates);
  for (const double delta : ValidityCheck::deltas) {
    std::uint64_t misses = 0;
    std::vector<Request> requests(300);
    for (std::uint64_t i = 0; i < replicates; ++i) {
      for (Request& request : requests) {
        const int signal = static_cast<int>(uniform() * levels);
        request = {static_cast<double>(signal), signal == worst && uniform() < 0.5};
      }
      misses += rule(requests, risk, Delta{delta}) <= worst;
    }
    if (too_often(misses, replicates, delta)) return true;
  }
  return false;
}

/// Whether a limit takes a sample that it has to refuse.
inline bool takes_bad_input(const std::function<double(std::span<const double>, Delta)>& limit) {
  constexpr double nan = std::numeric_limits<double>::quiet_NaN();
  const std::array<std::vector<double>, 6> samples{
      {{}, {nan}, {0.0, nan, 1.0}, {0.5, -0x1p-1074}, {0.0, 1.0 + 0x1p-52}, {std::numeric_limits<double>::infinity()}}};
  for (const auto& losses : samples) {
    try {
      (void)limit(losses, Delta{0.05});
      return true;
    } catch (const ValueError&) {
    }
  }
  for (const double beta : {0.0, 1.0, -0.1, nan}) {
    try {
      (void)limit(std::vector<double>{0.0, 1.0}, Delta{beta});
      return true;
    } catch (const ValueError&) {
    }
  }
  return false;
}

}  // namespace mpp::statistical

#pragma once
// A cascade on a heuristic signal, calibrated again and again: how often does what was certified turn out too bad?
#include <algorithm>
#include <cstdint>
#include <iomanip>
#include <iostream>
#include <numeric>
#include <optional>
#include <random>
#include <span>
#include <string>
#include <vector>

#include <boost/math/distributions/hypergeometric.hpp>

#include <mpp/core/guarantees/calibrate.hpp>

#include "bench_json.hpp"
#include "guarantees_trace.hpp"
#include "statistical/validity.hpp"

namespace mpp::bench {

/// Falling, fixed before a query is seen. At 1 only proven answers are released below the exact level.
inline std::vector<double> gap_thresholds() {
  std::vector<double> thresholds;
  for (int percent = 100; percent >= 0; --percent) thresholds.push_back(percent / 100.0);
  return thresholds;
}

/// Losses and costs of every traced query under every threshold.
class PolicyTable {
 public:
  PolicyTable(std::span<const TracedQuery> queries, Epsilon epsilon)
      : thresholds_(gap_thresholds()), queries_(queries.size()) {
    for (const double threshold : thresholds_)
      for (const TracedQuery& query : queries) {
        const Level level = query.released_at(threshold);
        violates_.push_back(query.regret[level] > epsilon.value);
        first_.push_back(level == 0);
        bytes_.push_back(static_cast<float>(query.bytes[level]));
      }
  }

  std::span<const double> thresholds() const { return thresholds_; }
  std::size_t queries() const { return queries_; }
  bool violates(std::size_t threshold, std::size_t query) const { return violates_[threshold * queries_ + query] != 0; }
  bool at_first(std::size_t threshold, std::size_t query) const { return first_[threshold * queries_ + query] != 0; }
  double bytes(std::size_t threshold, std::size_t query) const { return bytes_[threshold * queries_ + query]; }

  std::uint64_t violations(std::size_t threshold, std::span<const std::uint32_t> of) const {
    return static_cast<std::uint64_t>(
        std::count_if(of.begin(), of.end(), [&](std::uint32_t query) { return violates(threshold, query); }));
  }

 private:
  std::vector<double> thresholds_;
  std::size_t queries_;
  std::vector<std::uint8_t> violates_, first_;  // [thresholds][queries]
  std::vector<float> bytes_;
};

struct SplitTally {
  std::uint64_t splits = 0, over = 0, nothing = 0;  ///< over: the rate on the test part is above delta
  double rate = 0.0, first = 0.0, bytes = 0.0;      ///< means over the splits, of the test part
};

/// Calibrates on `size` random queries and looks at all others, `splits` times. With `naive` the lowest threshold whose
/// calibration rate is at most delta is taken: no confidence, the twin that the same check has to catch.
inline SplitTally recalibrate(const PolicyTable& table, std::size_t size, Delta delta, Delta beta, std::size_t splits,
                              bool naive = false) {
  std::mt19937_64 random(11);
  std::vector<std::uint32_t> order(table.queries());
  std::iota(order.begin(), order.end(), 0U);
  const std::size_t thresholds = table.thresholds().size();
  std::vector<double> losses(thresholds * size);
  SplitTally tally;
  for (std::size_t split = 0; split < splits; ++split) {
    for (std::size_t i = 0; i < size; ++i)  // the first `size` of a random order
      std::swap(order[i], order[i + random() % (order.size() - i)]);
    const auto calibration = std::span(order).first(size);
    const auto test = std::span(order).subspan(size);
    std::optional<std::size_t> chosen;
    if (naive) {
      for (std::size_t t = 0; t < thresholds; ++t)
        if (static_cast<double>(table.violations(t, calibration)) <= delta.value * static_cast<double>(size))
          chosen = t;
    } else {
      for (std::size_t t = 0; t < thresholds; ++t)
        for (std::size_t i = 0; i < size; ++i) losses[t * size + i] = table.violates(t, calibration[i]) ? 1.0 : 0.0;
      chosen = guarantees::calibrate_policy(losses, table.thresholds(), {.risk = delta, .beta = beta}).index;
    }
    ++tally.splits;
    if (!chosen) {
      ++tally.nothing;
      continue;
    }
    const double rate = static_cast<double>(table.violations(*chosen, test)) / static_cast<double>(test.size());
    tally.over += rate > delta.value ? 1 : 0;
    tally.rate += rate;
    for (const std::uint32_t query : test) {
      tally.first += table.at_first(*chosen, query) / static_cast<double>(test.size());
      tally.bytes += table.bytes(*chosen, query) / static_cast<double>(test.size());
    }
  }
  const auto certified = static_cast<double>(tally.splits - tally.nothing);
  for (double* mean : {&tally.rate, &tally.first, &tally.bytes}) *mean /= std::max(1.0, certified);
  return tally;
}

/// The chance that a split is over, at most, given the pool of n queries that is split into `size` and m = n - size.
///
/// A lower threshold releases at level 0 what a higher one does and more, and violations come from there alone, so walking
/// down the thresholds meets the violating queries one after the other. Let c be the most violations that certify. What is
/// certified ends before violation c + 1 of the calibration part is met. For the test part to hold more than delta m by
/// then, at most c of the first c + floor(delta m) + 1 violations may lie in the calibration part. Each split is a uniform
/// draw, so that number is hypergeometric. With m to infinity this is P(Bin(size, delta) <= c) <= beta.
inline double most_over(std::size_t n, std::size_t size, Delta delta, Delta beta) {
  std::uint64_t c = 0;
  if (guarantees::binomial_p({0, size}, delta.value) > beta.value) return 0.0;
  while (guarantees::binomial_p({c + 1, size}, delta.value) <= beta.value) ++c;
  const auto met = c + static_cast<std::uint64_t>(delta.value * static_cast<double>(n - size)) + 1;
  if (met > n) return 0.0;
  using Counted = boost::math::hypergeometric_distribution<double>;
  return boost::math::cdf(Counted(static_cast<unsigned>(met), static_cast<unsigned>(size), static_cast<unsigned>(n)),
                          static_cast<unsigned>(c));
}

}  // namespace mpp::bench

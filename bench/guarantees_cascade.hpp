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

/// What a policy did with some queries, in sum.
struct Run {
  std::size_t queries = 0, violations = 0, at_first = 0;  ///< at_first: released at level 0
  double bytes = 0.0;

  friend Run operator-(Run all, const Run& part) {
    return {all.queries - part.queries, all.violations - part.violations, all.at_first - part.at_first,
            all.bytes - part.bytes};
  }
  double mean(double sum) const { return sum / static_cast<double>(queries); }
  double rate() const { return mean(static_cast<double>(violations)); }
};

/// Where every policy releases every query, and whether that violates epsilon. Borrows the queries.
class PolicyTable {
 public:
  PolicyTable(std::span<const TracedQuery> queries, Epsilon epsilon)
      : thresholds_(gap_thresholds()), queries_(queries) {
    std::vector<std::uint32_t> everyone(queries.size());
    std::iota(everyone.begin(), everyone.end(), 0U);
    for (std::size_t t = 0; t < thresholds_.size(); ++t) {
      for (const TracedQuery& query : queries) {
        const Level level = query.released_at(thresholds_[t]);
        level_.push_back(static_cast<std::uint8_t>(level));
        violates_.push_back(query.regret[level] > epsilon.value);
      }
      of_all_.push_back(run(t, everyone));
    }
  }

  std::span<const double> thresholds() const { return thresholds_; }
  std::size_t queries() const { return queries_.size(); }
  bool violates(std::size_t threshold, std::size_t query) const {
    return violates_[threshold * queries() + query] != 0;
  }
  const Run& of_all(std::size_t threshold) const { return of_all_[threshold]; }
  Run run(std::size_t threshold, std::span<const std::uint32_t> of) const {
    Run sum{of.size()};
    for (const std::uint32_t query : of) {
      const Level level = level_[threshold * queries() + query];
      sum.violations += violates(threshold, query) ? 1 : 0;
      sum.at_first += level == 0 ? 1 : 0;
      sum.bytes += queries_[query].bytes[level];
    }
    return sum;
  }
  /// As calibrate_policy() takes them.
  std::vector<double> losses(std::span<const std::uint32_t> of) const {
    std::vector<double> losses;
    losses.reserve(thresholds_.size() * of.size());
    for (std::size_t t = 0; t < thresholds_.size(); ++t)
      for (const std::uint32_t query : of) losses.push_back(violates(t, query) ? 1.0 : 0.0);
    return losses;
  }

 private:
  std::vector<double> thresholds_;
  std::span<const TracedQuery> queries_;
  std::vector<std::uint8_t> level_, violates_;  // [thresholds][queries]
  std::vector<Run> of_all_;                     // [thresholds]
};

/// The lowest threshold whose rate on the sample is at most delta: no confidence, the twin that the check has to catch.
inline std::optional<std::size_t> naive_threshold(const PolicyTable& table, std::span<const std::uint32_t> sample,
                                                  Delta delta) {
  std::optional<std::size_t> chosen;
  for (std::size_t t = 0; t < table.thresholds().size(); ++t) {
    const auto violations = std::count_if(sample.begin(), sample.end(), [&](auto q) { return table.violates(t, q); });
    if (static_cast<double>(violations) <= delta.value * static_cast<double>(sample.size())) chosen = t;
  }
  return chosen;
}

struct SplitTally {
  std::uint64_t splits = 0, over = 0, nothing = 0;  ///< over: the rate on the test part is above delta
  double rate = 0.0, first = 0.0, bytes = 0.0;      ///< means of the test part, over the splits that certify
};

/// Draws `size` queries, lets `calibrate` choose a threshold by them and looks at all others, `splits` times.
template <class Calibrate>
SplitTally recalibrate(const PolicyTable& table, std::size_t size, Delta delta, std::size_t splits,
                       Calibrate calibrate) {
  std::mt19937_64 random(11);
  std::vector<std::uint32_t> order(table.queries());
  std::iota(order.begin(), order.end(), 0U);
  SplitTally tally;
  for (tally.splits = 0; tally.splits < splits; ++tally.splits) {
    for (std::size_t i = 0; i < size; ++i)  // the first `size` of a random order
      std::swap(order[i], order[i + random() % (order.size() - i)]);
    const auto sample = std::span<const std::uint32_t>(order).first(size);
    const std::optional<std::size_t> chosen = calibrate(sample);
    if (!chosen) {
      ++tally.nothing;
      continue;
    }
    const Run test = table.of_all(*chosen) - table.run(*chosen, sample);
    tally.over += test.rate() > delta.value ? 1 : 0;
    tally.rate += test.rate();
    tally.first += test.mean(static_cast<double>(test.at_first));
    tally.bytes += test.mean(test.bytes);
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

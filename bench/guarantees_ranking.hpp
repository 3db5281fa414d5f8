#pragma once
// The ranking workload from trace to service: epsilon, 1,000 recalibrations, and one of them run under its record.
#include <chrono>
#include <iostream>
#include <numeric>
#include <string>
#include <vector>

#include "bench_json.hpp"
#include "guarantees_cascade.hpp"
#include "guarantees_serving.hpp"

namespace mpp::bench {

/// Clustered or power-law rows behind a cascade that rescores 100 rows after the first plane.
class CascadeBench {
 public:
  CascadeBench(Report& report, ranking::Family family, std::size_t traced)
      : report_(report), family_(family),
        data_(ranking::make_synthetic(family, rows, for_epsilon + traced + served, dims, /*seed=*/1)),
        pool_(bench_pool(data_.rows, dims)), tier_(pool_, {.pilot = 100}) {
    for (std::size_t q = 0; q < data_.queries.size() / dims; ++q)
      requests_.push_back({.query = std::span(data_.queries).subspan(q * dims, dims), .k = k});
  }

  /// @return whether every promise was kept
  bool run() {
    choose_epsilon();
    for (std::size_t q = for_epsilon; q + served < requests_.size(); ++q)
      traced_.push_back(trace(tier_, requests_[q], epsilon_));
    const PolicyTable table(traced_, epsilon_);
    double proven = 0.0, proven_bytes = 0.0, first_bytes = 0.0;
    for (const TracedQuery& query : traced_) {
      const double share = 1.0 / static_cast<double>(traced_.size());
      const Level level = query.proven_at(epsilon_);
      proven += level == 0 ? share : 0.0;
      proven_bytes += query.bytes[level] * share;
      first_bytes += query.bytes[0] * share;
      keep(query.regret[level] <= epsilon_.value, "a deterministic bound is below the error");
      first_violations_ += query.regret[0] > epsilon_.value ? share : 0.0;
    }
    set("epsilon", epsilon_.value);
    set("queries", static_cast<double>(traced_.size()));
    set("level0_violates", first_violations_);
    set("deterministic_at_level0", proven);
    set("deterministic_bytes", proven_bytes);
    set("exact_claim_bytes", static_cast<double>(tier_.footprint(requests_[0], rank_levels - 1).total().count));
    std::cerr << ranking::name(family_) << " " << rows << " x " << dims << ", k = " << k << ", " << traced_.size()
              << " queries, epsilon " << epsilon_.value << ": level 0 alone violates " << percent(first_violations_)
              << "\n  RankMargin, for any input          at level 0 " << percent(proven) << "  bytes " << proven_bytes
              << '\n';
    for (const Delta delta : {Delta{0.05}, Delta{0.01}}) calibrated(table, delta, proven_bytes, first_bytes);
    serve(table);
    return sound_;
  }

 private:
  static constexpr std::size_t rows = 20'000, dims = 64, k = 10, calibration = 1000, splits = 1000;
  static constexpr std::size_t for_epsilon = 100, served = 400;  // queries of their own: none is calibrated on
  static constexpr Delta beta{0.05};

  static std::string percent(double share) { return text(std::round(share * 1e4) / 100.0, " %"); }
  void keep(bool kept, const char* promise) {
    if (!kept && sound_) std::cerr << "  BROKEN (" << ranking::name(family_) << "): " << promise << '\n';
    sound_ = sound_ && kept;
  }
  void set(const std::string& figure, double value) {
    report_.set("guarantees.cascade_" + figure + "." + std::string(ranking::name(family_)), value);
  }

  // A tenth of the median gap between the scores of rank k and k + 1; the exact level is checked on the way.
  void choose_epsilon() {
    std::vector<double> gaps;
    for (std::size_t q = 0; q < for_epsilon; ++q) {
      auto best = exact_top(pool_, exact_scores(pool_, requests_[q].query), k + 1);
      gaps.push_back(best[k - 1].score - best[k].score);
      best.resize(k);
      const ranking::RankMargin margin;
      Ledger ledger(Footprint::unlimited());
      keep(same(Controller(tier_, margin, ledger.root()).serve(requests_[q]).value(), best), "not the exact top k");
    }
    epsilon_ = {0.1 * median(gaps)};
  }

  void calibrated(const PolicyTable& table, Delta delta, double proven_bytes, double first_bytes) {
    const std::string at = text(".", delta.value * 100.0, "pct");
    const guarantees::PolicyClaim claim{.risk = delta, .beta = beta};
    const SplitTally found = recalibrate(table, calibration, delta, splits, [&](std::span<const std::uint32_t> sample) {
      return guarantees::calibrate_policy(table.losses(sample), table.thresholds(), claim).index;
    });
    const SplitTally naive = recalibrate(table, calibration, delta, splits, [&](std::span<const std::uint32_t> sample) {
      return naive_threshold(table, sample, delta);
    });
    const double most = most_over(table.queries(), calibration, delta, beta);
    const auto share = [](const SplitTally& tally) { return static_cast<double>(tally.over) / splits; };
    const auto consistent = [&](const SplitTally& tally) {
      return statistical::binomial_at_least(tally.over, tally.splits, most) >= 1e-6;
    };
    keep(consistent(found), "too many splits are above delta");
    keep(found.rate <= delta.value, "the mean rate of violations is above delta");
    keep(!consistent(naive), "the check does not notice a rule without confidence");
    set("over_delta" + at, share(found));
    set("over_delta_most" + at, most);
    set("naive_over_delta" + at, share(naive));
    set("violates" + at, found.rate);
    set("at_level0" + at, found.first);
    set("bytes" + at, found.bytes);
    set("memory_saved" + at, 1.0 - found.bytes / proven_bytes);
    set("escalation_saved" + at, (proven_bytes - found.bytes) / (proven_bytes - first_bytes));
    set("nothing_certified" + at, static_cast<double>(found.nothing) / splits);
    std::cerr << "  calibrated, delta " << percent(delta.value) << ", beta " << percent(beta.value) << "    at level 0 "
              << percent(found.first) << "  bytes " << found.bytes << "  violates " << percent(found.rate)
              << "; above delta in " << percent(share(found)) << " of " << splits << " splits (at most "
              << percent(most) << "), without confidence in " << percent(share(naive)) << '\n';
  }

  // One calibration on the first traced queries, kept as a record and run on queries of their own.
  void serve(const PolicyTable& table) {
    std::vector<std::uint32_t> sample(calibration);
    std::iota(sample.begin(), sample.end(), 0U);
    const std::vector<double> losses = table.losses(sample);
    const guarantees::PolicyClaim claim{.risk = {0.05}, .beta = beta};
    const auto certified = guarantees::calibrate_policy(losses, table.thresholds(), claim);
    const guarantees::PolicyIds ids{.model = text(ranking::name(family_), ", ", rows, " x ", dims, ", seed 1"),
                                    .kernel = "cpu",
                                    .estimator = "score gap after plane 0, against the best midpoint left",
                                    .policy = "levels 0 to 4, pilot 100; proven answers released at any",
                                    .workload = "ranking",
                                    .service_class = "top 10"};
    const auto now = std::chrono::floor<std::chrono::seconds>(std::chrono::system_clock::now());
    const auto record = guarantees::make_record(ids, epsilon_, claim, certified, /*seed=*/1, now);
    const Served found = serve_calibrated(tier_, std::span(requests_).last(served), record, epsilon_);
    keep(found.mislabelled == 0, "a served bound does not say what it rests on");
    keep(found.released_after_alarm == 0, "released below the exact level with the key closed");
    keep(statistical::binomial_at_least(found.violations, found.requests, record.delta.value) >= 1e-6,
         "served requests violate too often");
    const auto share = [&](std::size_t count) {
      return static_cast<double>(count) / static_cast<double>(found.requests);
    };
    set("served_at_level0", share(found.at_first));
    set("served_violates", share(found.violations));
    set("served_bytes", found.bytes);
    set("audited", static_cast<double>(found.audited));
    set("audited_violations", found.audit.loss);
    set("audit_drift_evidence", found.audit.drift);
    set("released_after_alarm", static_cast<double>(found.released_after_alarm));
    std::cerr << "  served " << found.requests << " under record " << record.id() << " (threshold " << record.value
              << ", " << record.k << " of " << record.n << " violated): at level 0 " << percent(share(found.at_first))
              << ", violates " << percent(share(found.violations)) << "; audited " << found.audited << ", "
              << found.audit.loss << " violated, log e-value " << found.audit.log_e_value << ", drift evidence "
              << found.audit.drift << " of 1e5, alarm " << guarantees::name(found.audit.alarm)
              << "; below the exact level after an alarm: " << found.released_after_alarm << '\n';
  }

  Report& report_;
  ranking::Family family_;
  ranking::Synthetic data_;
  ranking::Pool pool_;
  ranking::RankTier tier_;
  std::vector<ranking::RankRequest> requests_;
  std::vector<TracedQuery> traced_;
  Epsilon epsilon_{};
  double first_violations_ = 0.0;
  bool sound_ = true;
};

}  // namespace mpp::bench

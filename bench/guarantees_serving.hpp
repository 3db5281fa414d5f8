#pragma once
// A certified threshold in service: released under its record, audited against the exact level, closed by an alarm.
#include <chrono>
#include <iostream>
#include <span>
#include <vector>

#include <mpp/core/control/controller.hpp>
#include <mpp/core/guarantees/auditor.hpp>
#include <mpp/core/guarantees/calibrated_estimator.hpp>

#include "bench_json.hpp"
#include "guarantees_trace.hpp"

namespace mpp::bench {

struct Served {
  std::size_t requests = 0, at_first = 0, violations = 0, audited = 0, mislabelled = 0;
  double bytes = 0.0;
  guarantees::AuditStatus audit;
  std::size_t released_after_alarm = 0;  ///< below the exact level, with the gate closed: must be 0
};

/// Serves requests through Controller<RankTier, CalibratedEstimator> with `delta` of the record and audits every other one.
inline Served serve_calibrated(const ranking::RankTier& tier, std::span<const ranking::RankRequest> requests,
                               const guarantees::CalibrationRecord& record, Epsilon epsilon) {
  using namespace guarantees;
  Auditor auditor({.sampling_rate = 0.5, .seed = {1, 2}});
  const AuditKey key{record.ids.workload, 0, record.ids.service_class};
  auditor.recalibrated(key, record.id(), record.delta);
  const CalibratedEstimator<ranking::RankTier, GapSignal> estimator(record, record.ids, GapSignal{epsilon},
                                                                    {&auditor, {key}});
  Ledger ledger(Footprint::unlimited());
  const Controller controller(tier, estimator, ledger.root());
  const ranking::RankMargin margin;
  const Controller exact(tier, margin, ledger.root());
  const QualityTarget target{.epsilon = epsilon, .delta = record.delta};

  Served served;
  for (std::uint64_t number = 0; number < requests.size(); ++number) {
    const auto outcome = controller.serve(requests[number], target);
    const auto truth = exact.serve(requests[number], {});  // epsilon 0
    const bool violated = score_regret(outcome.value(), truth.value()) > epsilon.value;
    const bool promised =
        outcome.level + 1 == tier.levels()
            ? outcome.bound.kind() == BoundKind::deterministic && outcome.bound.value() == 0.0
            : outcome.bound.kind() == BoundKind::calibrated && outcome.bound.delta().value == record.delta.value;
    ++served.requests;
    served.at_first += outcome.level == 0 ? 1 : 0;
    served.violations += violated ? 1 : 0;
    served.mislabelled += promised ? 0 : 1;
    served.bytes += static_cast<double>(outcome.peak.total().count) / static_cast<double>(requests.size());
    if (!auditor.selects(key, number)) continue;
    served.audit = auditor.observe(key, number, violated ? 1.0 : 0.0);
    ++served.audited;
  }
  // What an alarm does: losses that the record does not allow, until the key is closed.
  for (std::uint64_t number = requests.size(); auditor.may_release(key); ++number)
    if (auditor.selects(key, number)) auditor.observe(key, number, 1.0);
  for (const ranking::RankRequest& request : requests.first(std::min<std::size_t>(20, requests.size())))
    served.released_after_alarm += controller.serve(request, target).level + 1 < tier.levels() ? 1 : 0;
  return served;
}

}  // namespace mpp::bench

#pragma once
#include <algorithm>
#include <cmath>
#include <concepts>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include <mpp/core/control/tier.hpp>
#include <mpp/core/guarantees/auditor.hpp>
#include <mpp/core/guarantees/normal_number.hpp>
#include <mpp/core/guarantees/record.hpp>

namespace mpp::guarantees {

/// A heuristic that says how good the result of a level looks. By itself it releases nothing.
/// For a policy record: higher is better, in any unit. For a ratio record: an estimate of the error, >= 0, in the unit of
/// epsilon. NaN releases nothing.
template <class S, class T>
concept SignalFor = Tier<T> && requires(const S& signal, const typename T::Request& request,
                                        const typename T::State& state, const typename T::Result& result, Level level) {
  { signal.signal(request, state, result, level) } -> std::same_as<HeuristicScore>;
};

/// The smallest signal: it knows nothing.
struct ArchetypeSignal {
  HeuristicScore signal(const ArchetypeTier::Request&, const ArchetypeTier::State&, const ArchetypeTier::Result&,
                        Level) const {
    return {std::numeric_limits<double>::quiet_NaN()};
  }
};
static_assert(SignalFor<ArchetypeSignal, ArchetypeTier>);

/// Keys that an auditor must hold open under the record, all of them, or nothing is released: of the record's workload and
/// service class, and with an allowed rate of at most its delta, since a laxer audit watches another promise.
///
/// Open them (recalibrated()) before the estimator is made: one that finds a key closed then stays closed, and after an
/// alarm no record opens a key again. So a gate goes from open to closed once, and a level is never asked by a request
/// whose lower levels found it closed.
///
/// A record promises a rate over all requests. One key for all levels audits just that, if the coin is thrown for every
/// request and those that the exact level released count with loss 0. Audited level by level, or without those, the rate may
/// be above delta while the promise is kept, and an alarm is no longer rarely false: it only closes too early.
struct AuditGate {
  const Auditor* auditor;  ///< must outlive the estimator
  std::vector<AuditKey> keys;
};

/// Turns a heuristic signal into a bound of kind calibrated, as a record allows.
///
/// Policy record: a result whose signal is at least the threshold has an error of at most the record's epsilon. Ratio
/// record: every result has an error of at most kappa times the signal. Either way except with probability delta over
/// the requests of the record's population: all levels together, so a session charges it once. A target with a smaller
/// delta passes over the bound; one with an epsilon below the record's goes up to the exact level.
///
/// A signal that releases nothing was still looked at: the bound is then NaN with the record's delta, as that of a
/// randomized look that found none. Only a closed gate looks at nothing, and gives none().
///
/// beta, the chance that the calibration itself was misled, is no part of delta: it was spent once, for the record.
/// The policy that was calibrated must be the one that runs. So what else may release a result (a deterministic bound)
/// or skip a level was there when it was calibrated and is named in PolicyIds::policy; a gate that was closed for one level
/// of a request is closed for those above, because what the one level may not release would otherwise come from another
/// level, which nobody calibrated. An alarm in the midst of a request only sends it up to the exact level.
template <Tier T, SignalFor<T> S>
class CalibratedEstimator {
 public:
  /// @throws ValueError if the record is not sound by its own numbers, names other ids than `running`, or is of graded
  ///         losses: they promise a mean, and no bound for a request follows
  CalibratedEstimator(const CalibrationRecord& record, const PolicyIds& running, S signal)
      : CalibratedEstimator(record, running, std::move(signal), AuditGate{nullptr, {}}, Ungated{}) {}
  /// @throws ValueError also for a gate without an auditor or without keys, or with a key of another workload or service
  ///         class than the record's
  CalibratedEstimator(const CalibrationRecord& record, const PolicyIds& running, S signal, AuditGate gate)
      : CalibratedEstimator(record, running, std::move(signal), std::move(gate), Ungated{}) {
    expects<ValueError>(gate_.auditor != nullptr && !gate_.keys.empty(), "CalibratedEstimator: the gate has ",
                        gate_.auditor == nullptr ? "no auditor" : "no keys",
                        ", expected an auditor and at least one key");
    for (const AuditKey& key : gate_.keys) {
      expects_own("workload", key.workload, record.ids.workload);
      expects_own("service class", key.service_class, record.ids.service_class);
    }
    opened_ = open();
  }

  ErrorBound bound(const typename T::Request& request, const typename T::State& state, const typename T::Result& result,
                   Level level, Delta /*share*/) const {
    if (!open()) return ErrorBound::none();
    const double signal = signal_.signal(request, state, result, level).value;
    return ratio_ ? within_ratio(signal) : above_threshold(signal);
  }

  [[nodiscard]] const std::string& record_id() const noexcept { return id_; }

 private:
  static constexpr double no_bound = std::numeric_limits<double>::quiet_NaN();

  struct Ungated {};
  CalibratedEstimator(const CalibrationRecord& record, const PolicyIds& running, S signal, AuditGate gate, Ungated)
      : signal_(std::move(signal)), id_(record.id()), ratio_(record.is_ratio()), value_(record.value),
        epsilon_(record.epsilon.value_or(Epsilon{})), delta_(record.delta), gate_(std::move(gate)) {
    expects_match(record, running);
    expects<ValueError>(
        record.method != CalibrationMethod::fixed_sequence_betting,
        "CalibratedEstimator: the record is of graded losses, expected violations: a mean bounds no request");
  }

  static void expects_own(const char* what, const std::string& came, const std::string& expected) {
    expects<ValueError>(came == expected, "CalibratedEstimator: a key of the gate has the ", what, " '", came,
                        "', expected that of the record, '", expected, "'");
  }

  // Fails closed: also when a key runs under another record or is audited for more than it promises.
  bool open() const {
    if (!opened_) return false;
    for (const AuditKey& key : gate_.keys)
      if (!gate_.auditor->may_release(key, id_, delta_)) return false;
    return true;
  }

  ErrorBound above_threshold(double signal) const {
    return ErrorBound::calibrated(signal >= value_ ? epsilon_.value : no_bound, delta_);  // false for NaN
  }

  // Rounded up, and no smaller than a normal number, which flushing to zero leaves alone. An infinite kappa says nothing.
  ErrorBound within_ratio(double estimate) const {
    const double product = at_least_normal(value_) * at_least_normal(estimate);
    if (!(estimate >= 0.0 && std::isfinite(product))) return ErrorBound::calibrated(no_bound, delta_);
    if (is_zero(value_) || is_zero(estimate)) return ErrorBound::calibrated(0.0, delta_);
    const double above = std::nextafter(product, std::numeric_limits<double>::infinity());
    return ErrorBound::calibrated(std::max(above, std::numeric_limits<double>::min()), delta_);
  }

  S signal_;
  std::string id_;
  bool ratio_;
  double value_;
  Epsilon epsilon_;
  Delta delta_;
  AuditGate gate_;
  bool opened_ = true;  // when the estimator was made: a key that opens later would be closed for half of a request
};
static_assert(EstimatorFor<CalibratedEstimator<ArchetypeTier, ArchetypeSignal>, ArchetypeTier>);

}  // namespace mpp::guarantees

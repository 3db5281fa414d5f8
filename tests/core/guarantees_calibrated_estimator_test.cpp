#include <mpp/core/guarantees/calibrated_estimator.hpp>

#include <gtest/gtest.h>

#if defined(__SSE2__)
#include <immintrin.h>
#endif

#include "fuzz/calibration_record_property.hpp"
#include "support/cascade.hpp"
#include "support/message_of.hpp"

namespace mpp::guarantees {
namespace {

using namespace mpp::test;

constexpr double nan = std::numeric_limits<double>::quiet_NaN();
constexpr double infinity = std::numeric_limits<double>::infinity();

CalibrationRecord policy_record(double threshold, double epsilon) {
  CalibrationRecord record = sample_record();
  record.value = threshold;
  record.epsilon = Epsilon{epsilon};
  return record;
}
CalibrationRecord ratio_record(double kappa) {
  CalibrationRecord record = sample_record();
  record.method = CalibrationMethod::tolerance_rank;
  record.epsilon.reset();
  record.value = kappa;
  return record;
}

using Estimator = CalibratedEstimator<CascadeTier, CascadeSignal>;
Estimator estimator(const CalibrationRecord& record) { return Estimator(record, record.ids, CascadeSignal{}); }
ErrorBound bound(const Estimator& estimator, double signal) {
  return estimator.bound({{}, {signal, signal}}, {}, 0.0, 0, Delta{0.0});
}

bool has(const std::string& sentence, const std::string& part) { return sentence.find(part) != std::string::npos; }

struct Served {
  Level level;
  ErrorBound bound;
};
Served serve(const Estimator& estimator, const CascadeRequest& request, QualityTarget target) {
  Ledger ledger{Footprint{}};
  const CascadeTier tier;
  const auto outcome = Controller(tier, estimator, ledger.root()).serve(request, target);
  EXPECT_TRUE(outcome.certified());
  return {outcome.level, outcome.bound};
}

TEST(CalibratedEstimator, APolicyPromisesItsEpsilonFromTheThresholdOn) {
  const Estimator policy = estimator(policy_record(2.0, 0.25));
  EXPECT_EQ(bound(policy, 2.0).value(), 0.25);  // a tie is released, as it was counted
  EXPECT_EQ(bound(policy, 2.0).delta().value, 0.01);
  EXPECT_EQ(bound(policy, 2.0).kind(), BoundKind::calibrated);
  EXPECT_EQ(bound(policy, infinity).value(), 0.25);
  for (const double low : {std::nextafter(2.0, 0.0), -infinity, nan})
    EXPECT_TRUE(std::isnan(bound(policy, low).value()));
  EXPECT_TRUE(std::isnan(bound(estimator(policy_record(-infinity, 0.25)), nan).value()));
}

TEST(CalibratedEstimator, ARatioIsAtLeastKappaTimesTheEstimate) {
  const Estimator ratio = estimator(ratio_record(1.0 / 3.0));
  EXPECT_GE(bound(ratio, 3.0).value(), 1.0);
  EXPECT_DOUBLE_EQ(bound(ratio, 3.0).value(), 1.0);
  EXPECT_EQ(bound(ratio, 0.0).value(), 0.0);
  EXPECT_EQ(bound(ratio, 0x1p-1074).value(), std::numeric_limits<double>::min());
  for (const double none : {nan, -1.0, -infinity, infinity})
    EXPECT_TRUE(std::isnan(bound(ratio, none).value())) << none;
  const Estimator nothing = estimator(ratio_record(infinity));
  for (const double any : {0.0, 1.0, infinity}) EXPECT_TRUE(std::isnan(bound(nothing, any).value()));
  EXPECT_EQ(bound(estimator(ratio_record(0.0)), 5.0).value(), 0.0);

  // A request exactly at kappa is covered, whatever was rounded on the way from its error to its bound.
  for (int i = 1; i < 3000; ++i) {
    const double error = i * 0.1, estimate = 1.0 / i;
    const double kappa = ratio_score(std::vector{error}, std::vector{estimate});
    EXPECT_GE(bound(estimator(ratio_record(kappa)), estimate).value(), error);
  }
}

// A request exactly at kappa is covered, and the score is the same, also where subnormal numbers are zeros.
TEST(CalibratedEstimator, AThreadThatFlushesSubnormalNumbersKeepsTheRatio) {
#if defined(__SSE2__)
  const double numbers[] = {0.0, 0x1p-1074, 1e-320, 0x1p-1022, 1e-300, 1.0, 1e300};
  for (const double error : numbers)
    for (const double estimate : numbers) {
      const double score = ratio_score(std::vector{error}, std::vector{estimate});
      const Estimator ratio = estimator(ratio_record(score));
      const unsigned before = _mm_getcsr();
      _mm_setcsr(before | 0x8040U);  // flush to zero, subnormals are zero
      const double flushed_score = ratio_score(std::vector{error}, std::vector{estimate});
      const ErrorBound flushed = bound(ratio, estimate);
      _mm_setcsr(before);
      EXPECT_EQ(flushed_score, score) << error << ' ' << estimate;
      EXPECT_EQ(std::isinf(score), std::isnan(flushed.value())) << error << ' ' << estimate;
      EXPECT_FALSE(flushed.value() < error) << error << ' ' << estimate;
      EXPECT_FALSE(bound(ratio, estimate).value() < error) << error << ' ' << estimate;
    }
  EXPECT_GT(ratio_score(std::vector{0x1p-1074}, std::vector{1e-320}), 0.0);
#else
  GTEST_SKIP() << "no SSE control register";
#endif
}

TEST(CalibratedEstimator, ASessionChargesItOnceAndPassesOverAWeakOne) {
  const Estimator policy = estimator(policy_record(2.0, 0.25));
  const CascadeRequest second{{9.0, 0.1}, {1.0, 2.0}};
  const Served released = serve(policy, second, {.epsilon = {0.25}, .delta = {0.01}});  // two looks, one charge
  EXPECT_EQ(released.level, 1U);
  EXPECT_EQ(released.bound.kind(), BoundKind::calibrated);
  EXPECT_EQ(released.bound.delta().value, 0.01);
  // Weaker than the caller asks, in delta or in epsilon: the exact level, at no charge.
  for (const QualityTarget target : {QualityTarget{{0.25}, {0.009}}, {{0.2}, {0.01}}, {{0.0}, {0.0}}}) {
    const Served exact = serve(policy, second, target);
    EXPECT_EQ(exact.level, 2U);
    EXPECT_EQ(exact.bound.delta().value, 0.0);
    EXPECT_EQ(exact.bound.value(), 0.0);
  }
}

TEST(CalibratedEstimator, RefusesARecordOfSomethingElse) {
  const CalibrationRecord record = policy_record(2.0, 0.25);
  PolicyIds running = record.ids;
  running.kernel = "cuda";
  EXPECT_TRUE(has(message_of<ValueError>([&] { (void)Estimator(record, running, {}); }), "what runs has 'cuda'"));
  CalibrationRecord unsound = record;
  unsound.k = 2.0;
  EXPECT_TRUE(has(message_of<ValueError>([&] { (void)estimator(unsound); }), "does not certify"));
  CalibrationRecord graded = record;
  graded.method = CalibrationMethod::fixed_sequence_betting;
  EXPECT_TRUE(has(message_of<ValueError>([&] { (void)estimator(graded); }), "expected violations"));
}

// ---- with an auditor ----

const AuditKey first{"ranking", 0, ""}, second{"ranking", 1, ""};

TEST(CalibratedEstimator, ReleasesOnlyWhileEveryKeyIsOpenUnderItsRecord) {
  Auditor auditor({.sampling_rate = 1.0});
  const CalibrationRecord record = policy_record(2.0, 0.25);
  const CascadeRequest request{{0.1, 0.1}, {3.0, 3.0}};
  const QualityTarget target{{0.25}, {0.01}};
  const auto fresh = [&] { return Estimator(record, record.ids, {}, {&auditor, {first, second}}); };
  const auto level = [&] { return serve(fresh(), request, target).level; };
  EXPECT_EQ(level(), 2U);  // no key is known
  auditor.recalibrated(first, record.id(), Delta{0.01});
  EXPECT_EQ(level(), 2U);
  auditor.recalibrated(second, "another record", Delta{0.01});
  EXPECT_EQ(level(), 2U);
  auditor.recalibrated(second, record.id(), Delta{0.01});
  EXPECT_EQ(level(), 0U);
  // An alarm of the second level closes the first one too, and the other way round.
  const Estimator made_before = fresh();
  for (std::uint64_t i = 0; auditor.may_release(second); ++i) auditor.observe(second, i, 1.0);
  for (const Estimator& gated : {made_before, fresh()}) EXPECT_EQ(serve(gated, request, target).level, 2U);
  auditor.recalibrated(second, "the next record", Delta{0.01});
  for (const Estimator& gated : {made_before, fresh()})
    EXPECT_EQ(serve(gated, request, target).level, 2U);  // open again, but not for this record
}

// Good at level 0 and bad at level 1, with high signals: the policy releases it at level 0.
TEST(CalibratedEstimator, AGateThatOpensOrClosesBetweenTwoLevelsReleasesNothingThatThePolicyWouldNot) {
  Auditor auditor({.sampling_rate = 1.0});
  const CalibrationRecord record = policy_record(2.0, 0.25);
  const CascadeTier tier;
  Ledger ledger{Footprint{}};
  const auto released_after = [&](const CascadeRequest& request, const auto& between) {
    const Estimator gated(record, record.ids, {}, {&auditor, {first}});
    const Controller controller(tier, gated, ledger.root());
    auto session = controller.start(request, {{0.25}, {0.01}});
    EXPECT_TRUE(session.advance());
    EXPECT_FALSE(session.done());
    between();
    while (!session.done()) EXPECT_TRUE(session.advance());
    return session.take().level;
  };
  EXPECT_EQ(released_after({{0.1, 9.0}, {3.0, 3.0}}, [&] { auditor.recalibrated(first, record.id(), {0.01}); }), 2U);
  const CascadeRequest good_at_level_1{{9.0, 0.1}, {1.0, 3.0}};
  EXPECT_EQ(released_after(good_at_level_1, [] {}), 1U);
  EXPECT_EQ(released_after(good_at_level_1,
                           [&] {
                             for (std::uint64_t i = 0; auditor.may_release(first); ++i) auditor.observe(first, i, 1.0);
                           }),
            2U);
}

TEST(CalibratedEstimator, AnAuditThatAllowsMoreThanTheRecordReleasesNothing) {
  const CalibrationRecord record = policy_record(2.0, 0.25);
  const CascadeRequest request{{0.1, 0.1}, {3.0, 3.0}};
  for (const double allowed : {0.99, std::nextafter(0.01, 1.0), 0.01, 0.005}) {
    Auditor auditor({.sampling_rate = 1.0});
    auditor.recalibrated(first, record.id(), Delta{allowed});
    const Estimator gated(record, record.ids, {}, {&auditor, {first}});
    EXPECT_EQ(serve(gated, request, {{0.25}, {0.01}}).level, allowed <= 0.01 ? 0U : 2U) << allowed;
  }
}

TEST(CalibratedEstimator, AGateIsOfTheWorkloadAndClassOfTheRecord) {
  Auditor auditor({.sampling_rate = 1.0});
  const CalibrationRecord record = policy_record(2.0, 0.25);
  const auto error = [&](const AuditKey& key) {
    return message_of<ValueError>([&] { (void)Estimator(record, record.ids, {}, {&auditor, {first, key}}); });
  };
  EXPECT_EQ(error(second), "no error");
  EXPECT_TRUE(has(error({"speech", 0, ""}), "has the workload 'speech', expected that of the record, 'ranking'"));
  EXPECT_TRUE(has(error({"ranking", 0, "gold"}), "has the service class 'gold', expected that of the record, ''"));
}

TEST(CalibratedEstimator, AGateNeedsAnAuditorAndKeys) {
  Auditor auditor({.sampling_rate = 1.0});
  const CalibrationRecord record = policy_record(2.0, 0.25);
  EXPECT_TRUE(has(message_of<ValueError>([&] { (void)Estimator(record, record.ids, {}, {&auditor, {}}); }), "no keys"));
  EXPECT_TRUE(has(message_of<ValueError>([&] {
                    (void)Estimator(record, record.ids, {}, {nullptr, {first}});
                  }),
                  "no auditor"));
}

// Why the gate closes all levels at once. One request: good at level 0, bad at level 1, and both signals are high. The policy
// releases it at level 0, so its losses are 0. A gate that closed level 0 alone would release it at level 1.
struct ClosesOneLevel {
  Estimator estimator;
  ErrorBound bound(const CascadeRequest& request, const CascadeTier::State& state, const double& result, Level level,
                   Delta share) const {
    return level == 0 ? ErrorBound::none() : estimator.bound(request, state, result, level, share);
  }
};
TEST(CalibratedEstimator, AGateThatClosedOneLevelWouldRunAPolicyThatNobodyCalibrated) {
  const CascadeRequest request{{0.1, 9.0}, {3.0, 3.0}};
  EXPECT_FALSE(violates(request, 2.0, 0.25));
  const ClosesOneLevel twin{estimator(policy_record(2.0, 0.25))};
  Ledger ledger{Footprint{}};
  const CascadeTier tier;
  const auto outcome = Controller(tier, twin, ledger.root()).serve(request, {{0.25}, {0.01}});
  EXPECT_TRUE(outcome.certified());
  EXPECT_GT(outcome.value(), outcome.bound.value());  // certified, and wrong
}

}  // namespace
}  // namespace mpp::guarantees

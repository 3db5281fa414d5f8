#include <mpp/core/guarantees/budget.hpp>

#include <gtest/gtest.h>

#include <cmath>
#include <initializer_list>
#include <limits>
#include <random>

#include <mpp/core/error.hpp>
#include <mpp/core/guarantees/calibrated_estimator.hpp>

#include "fuzz/calibration_record_property.hpp"
#include "support/cascade.hpp"

namespace mpp::guarantees {
namespace {

constexpr double nan = std::numeric_limits<double>::quiet_NaN();

// Sums of doubles below 1 without any rounding: integers of 2^-120. A share that is no such integer is below 2^-67 and
// counts as one more unit.
__extension__ typedef unsigned __int128 Wide;

Wide exactly(double x) {
  int exponent = 0;
  const auto mantissa = static_cast<std::uint64_t>(std::ldexp(std::frexp(x, &exponent), 53));
  const int shift = 120 + exponent - 53;
  if (shift >= 0) return static_cast<Wide>(mantissa) << shift;
  return shift <= -64 ? static_cast<Wide>(x > 0.0) : static_cast<Wide>((mantissa >> -shift) + 1);
}

/// Sum of the shares of `steps` steps that all look, minus the total, is above 0.
template <class Ledger>
bool overdraws(Ledger ledger, double total, std::uint64_t steps) {
  Wide sum = 0;
  for (std::uint64_t j = 0; j < steps; ++j) {
    const Delta share = ledger.share();
    sum += exactly(share.value);
    ledger.charge(share);
  }
  return sum > exactly(total);
}

// ---- broken twins ----

struct SquaredWithoutTheConstant {
  Delta total;
  double step = 1.0;
  Delta share() const { return {total.value / (step * step)}; }
  void charge(Delta) { ++step; }
};
struct RoundedUp {
  Delta total;
  std::uint64_t steps;
  Delta share() const { return {std::nextafter(total.value / static_cast<double>(steps), 1.0)}; }
  void charge(Delta) {}
};

TEST(WorkflowLedger, AMillionSharesStayBelowTheTotal) {
  for (const double total : {0.5, 0.1, 0.05, 0.01, 1e-3, 1e-6, 1.0 - 0x1p-53})
    EXPECT_FALSE(overdraws(WorkflowLedger::unknown(Delta{total}), total, 1'000'000)) << total;
  for (const std::uint64_t steps : std::initializer_list<std::uint64_t>{1, 2, 3, 7, 10, 49, 1000, 999'983})
    for (const double total : {0.1, 0.05, 1e-9})
      EXPECT_FALSE(overdraws(WorkflowLedger::known(Delta{total}, steps), total, steps + 10)) << total << ' ' << steps;
}
TEST(WorkflowLedger, TheTestAboveCatchesBrokenTwins) {
  EXPECT_TRUE(overdraws(SquaredWithoutTheConstant{Delta{0.1}}, 0.1, 1'000'000));
  EXPECT_TRUE(overdraws(RoundedUp{Delta{0.1}, 1000}, 0.1, 1000));
}

TEST(WorkflowLedger, SpendsNearlyAllOfTheTotal) {
  WorkflowLedger unknown = WorkflowLedger::unknown(Delta{0.05}), known = WorkflowLedger::known(Delta{0.05}, 1000);
  for (int j = 0; j < 1000; ++j) {
    unknown.charge(unknown.share());
    known.charge(known.share());
  }
  EXPECT_GT(unknown.spent().value, 0.05 * 0.999);  // the tail from 1001 on is 6 / (pi^2 1000)
  EXPECT_GT(known.spent().value, 0.05 * (1.0 - 1e-12));
  EXPECT_LE(known.spent().value, 0.05);
  EXPECT_EQ(known.share().value, 0.0);  // the steps that were announced are used up
}

TEST(WorkflowLedger, SharesAreThoseOfTheFormula) {
  WorkflowLedger ledger = WorkflowLedger::unknown(Delta{0.1});
  const double pi = 3.14159265358979323846;
  for (double j = 1; j < 100; ++j) {
    EXPECT_NEAR(ledger.share().value * j * j, 0.6 / (pi * pi), 1e-14);
    ledger.charge(ledger.share());
  }
}

TEST(WorkflowLedger, StepsThatLookAtNothingCostNothing) {
  WorkflowLedger ledger = WorkflowLedger::unknown(Delta{0.1});
  const double first = ledger.share().value;
  for (int i = 0; i < 1000; ++i) ledger.charge(Delta{0.0});
  EXPECT_EQ(ledger.share().value, first);
  EXPECT_EQ(ledger.spent().value, 0.0);
  EXPECT_EQ(ledger.looks(), 0U);
}

// An estimator that certifies exactly when it is wrong. Steps that pay only for what they release would then never move
// on to a smaller share until they have failed.
template <bool pays_for_looks>
double workflows_that_fail(double total) {
  std::mt19937_64 random(7);
  std::uniform_real_distribution<double> uniform;
  constexpr int workflows = 2000;
  int failed = 0;
  for (int w = 0; w < workflows; ++w) {
    WorkflowLedger ledger = WorkflowLedger::unknown(Delta{total});
    bool wrong = false;
    for (int step = 0; step < 200 && !wrong; ++step) {
      const Delta share = ledger.share();
      wrong = uniform(random) < share.value;
      ledger.charge(pays_for_looks || wrong ? share : Delta{0.0});
    }
    failed += wrong;
  }
  return static_cast<double>(failed) / workflows;
}
TEST(WorkflowLedger, StepsThatPayForTheirLooksFailAsRarelyAsPromised) {
  EXPECT_LE(workflows_that_fail<true>(0.1), 0.1 + std::sqrt(std::log(1e9) / (2.0 * 2000)));  // Hoeffding
}
TEST(WorkflowLedger, TheTestAboveCatchesStepsThatPayOnlyWhenTheyWin) {
  EXPECT_GT(workflows_that_fail<false>(0.1), 0.1 + std::sqrt(std::log(1e9) / (2.0 * 2000)));
}

// The same with steps that are served: 5 % of the requests have a high signal and a wrong result, as the record allows; the
// exact level releases the others.
template <class Price>
double served_workflows_that_fail(WorkflowLedger fresh, double delta, Price price) {
  using namespace mpp::test;
  CalibrationRecord record = sample_record();
  record.epsilon = Epsilon{0.25};
  record.delta = {delta};
  record.beta = Delta{0.05};
  record.value = 2.0;
  record.n = 2000;
  record.k = 95.0;
  const CalibratedEstimator<CascadeTier, CascadeSignal> estimator(record, record.ids, {});
  const CascadeTier tier;
  Ledger bytes{Footprint{}};
  const Controller controller(tier, estimator, bytes.root());
  std::mt19937_64 random(1);
  std::uniform_real_distribution<double> uniform;
  constexpr int workflows = 500;
  int failed = 0;
  for (int w = 0; w < workflows; ++w) {
    WorkflowLedger ledger = fresh;
    bool wrong = false;
    for (int step = 0; step < 200 && !wrong; ++step) {
      const CascadeRequest request{{9.0, 9.0}, {uniform(random) < 0.05 ? 3.0 : 1.0, 1.0}};
      const auto outcome = controller.serve(request, {.epsilon = {0.25}, .delta = ledger.share()});
      wrong = outcome.value() > 0.25;
      ledger.charge(price(outcome));
    }
    failed += wrong;
  }
  return static_cast<double>(failed) / workflows;
}
const auto price_of_looks = [](const auto& outcome) { return outcome.looked; };
const auto price_of_wins = [](const auto& outcome) { return outcome.bound.delta(); };
const double most_failures = 0.1 + std::sqrt(std::log(1e9) / (2.0 * 500));  // Hoeffding

TEST(WorkflowLedger, ServedStepsFailAsRarelyAsPromised) {
  EXPECT_LE(served_workflows_that_fail(WorkflowLedger::unknown(Delta{0.1}), 0.06, price_of_looks), most_failures);
  EXPECT_LE(served_workflows_that_fail(WorkflowLedger::known(Delta{0.1}, 1), 0.06, price_of_looks), most_failures);
}
TEST(WorkflowLedger, TheTestAboveCatchesThePriceOfTheReleaseAlone) {
  EXPECT_GT(served_workflows_that_fail(WorkflowLedger::unknown(Delta{0.1}), 0.06, price_of_wins), most_failures);
  EXPECT_GT(served_workflows_that_fail(WorkflowLedger::known(Delta{0.1}, 1), 0.06, price_of_wins), most_failures);
}

TEST(WorkflowLedger, NearUnderflowNothingIsSpent) {
  for (const double total : {0.0, std::numeric_limits<double>::denorm_min(), 1e-310, 1e-300}) {
    EXPECT_EQ(WorkflowLedger::unknown(Delta{total}).share().value, 0.0);
    EXPECT_EQ(WorkflowLedger::known(Delta{total}, 3).share().value, 0.0);
    EXPECT_EQ(DeltaBudget::even(Delta{total}, 3).share(2).value, 0.0);
  }
}

TEST(WorkflowLedger, RefusesWhatIsOutsideItsDomain) {
  for (const double total : {nan, -0.1, 1.0, 2.0}) {
    EXPECT_THROW((void)WorkflowLedger::unknown(Delta{total}), ValueError);
    EXPECT_THROW((void)WorkflowLedger::known(Delta{total}, 3), ValueError);
  }
  EXPECT_THROW((void)WorkflowLedger::known(Delta{0.1}, 0), ValueError);
  EXPECT_THROW((void)WorkflowLedger::known(Delta{0.1}, (std::uint64_t{1} << 53) + 1), ValueError);
  WorkflowLedger ledger = WorkflowLedger::known(Delta{0.1}, 4);
  for (const double spent : {nan, -0.01, 0.1, 0.025 * 1.0001}) {
    EXPECT_THROW(ledger.charge(Delta{spent}), ValueError);
    EXPECT_EQ(ledger.spent().value, 0.0);
  }
}

TEST(DeltaBudget, EvenSharesAndThePolicyStayBelowTheTotal) {
  for (const double total : {0.1, 0.05, 1.0 / 3.0, 1e-6})
    for (const double part : {0.0, 0.3, 1.0})
      for (const std::size_t looks : {1U, 2U, 3U, 6U, 7U, 10U, 1000U}) {
        const DeltaBudget budget = DeltaBudget::even(Delta{total}, looks, Delta{total * part});
        Wide sum = exactly(budget.policy().value);
        for (std::size_t i = 0; i < looks; ++i) sum += exactly(budget.share(i).value);
        EXPECT_LE(sum, exactly(total)) << total << ' ' << part << ' ' << looks;
        EXPECT_GE(budget.share(0).value * static_cast<double>(looks), (total - total * part) * (1.0 - 1e-14));
      }
}

TEST(DeltaBudget, CommittedSharesAreKeptIfTheyFit) {
  const DeltaBudget budget =
      DeltaBudget::committed(Delta{0.1}, {Delta{0.0625}, Delta{0.0}, Delta{0.03125}}, Delta{0.001});
  EXPECT_EQ(budget.looks(), 3U);
  EXPECT_EQ(budget.share(0).value, 0.0625);
  EXPECT_EQ(budget.share(1).value, 0.0);
  EXPECT_EQ(budget.share(2).value, 0.03125);
  EXPECT_EQ(budget.policy().value, 0.001);
  EXPECT_THROW((void)budget.share(3), ShapeError);
}

TEST(DeltaBudget, SharesThatExceedTheTotalByOneRoundingAreRefused) {
  // 0.1 + 0.2 is above 0.3 in doubles and in real numbers: 0.3 is stored low, 0.1 and 0.2 high.
  EXPECT_THROW((void)DeltaBudget::committed(Delta{0.3}, {Delta{0.1}, Delta{0.2}}), ValueError);
  // The sum in doubles is 0.5, the real one is above it.
  EXPECT_THROW((void)DeltaBudget::committed(Delta{0.5}, {Delta{0.5}, Delta{0x1p-60}}), ValueError);
  EXPECT_NO_THROW((void)DeltaBudget::committed(Delta{0.5}, {Delta{0.25}, Delta{0.25}}));
}

TEST(DeltaBudget, RefusesWhatIsOutsideItsDomain) {
  for (const double bad : {nan, -0.1, 1.0, 2.0}) {
    EXPECT_THROW((void)DeltaBudget::even(Delta{bad}, 2), ValueError);
    EXPECT_THROW((void)DeltaBudget::even(Delta{0.1}, 2, Delta{bad}), ValueError);
    EXPECT_THROW((void)DeltaBudget::committed(Delta{bad}, {Delta{0.01}}), ValueError);
    EXPECT_THROW((void)DeltaBudget::committed(Delta{0.1}, {Delta{bad}}), ValueError);
    EXPECT_THROW((void)DeltaBudget::committed(Delta{0.1}, {Delta{0.01}}, Delta{bad}), ValueError);
  }
  EXPECT_THROW((void)DeltaBudget::even(Delta{0.1}, 0), ValueError);
  EXPECT_THROW((void)DeltaBudget::even(Delta{0.1}, 2, Delta{0.2}), ValueError);
  EXPECT_THROW((void)DeltaBudget::committed(Delta{0.1}, {}), ValueError);
}

}  // namespace
}  // namespace mpp::guarantees

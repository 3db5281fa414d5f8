#include <mpp/core/guarantees/limits.hpp>

#include <gtest/gtest.h>

#include "statistical/exactness.hpp"
#include "statistical/golden_limits.hpp"

namespace mpp::guarantees {
namespace {

using statistical::examine;
using statistical::Found;
using statistical::inward;

TEST(ClopperPearson, UpperLimitIsTheTightestSoundDoubleForEveryCountUpTo200) {
  const Found found = examine(200, true, clopper_pearson_upper);
  EXPECT_EQ(found.unsound, 0U);
  EXPECT_EQ(found.not_tightest, 0U);
}
TEST(ClopperPearson, LowerLimitIsTheTightestSoundDoubleForEveryCountUpTo200) {
  const Found found = examine(200, false, clopper_pearson_lower);
  EXPECT_EQ(found.unsound, 0U);
  // One trial, one violation: the limit is beta itself, and a tail that is rounded up cannot show that it is equal.
  EXPECT_EQ(found.not_tightest, statistical::exact_levels.size());
  EXPECT_EQ(found.widest_gap, 2);
}
TEST(ClopperPearson, TheTestsAboveCatchALimitThatIsOneUnitTooTightOrTooWide) {
  const auto moved = [](std::int64_t steps) {
    return [steps](Count count, Delta beta) {
      const double x = clopper_pearson_upper(count, beta);
      return inward(x, steps, true);
    };
  };
  EXPECT_GT(examine(12, true, moved(1)).unsound, 0U);
  EXPECT_GT(examine(12, true, moved(-1)).not_tightest, 0U);
}

TEST(BinomialTail, IsRoundedUpByAtMostOneUnitOnEitherSideOfItsCentre) {
  reference::Binomials binomials;
  for (std::uint64_t n = 1; n <= 60; ++n)
    for (std::uint64_t k = 0; k < n; ++k)
      for (const double risk : {0x1p-40, 0.01, 0.1, 0.3, 0.5, 0.77, 0.99, 1.0 - 0x1p-53}) {
        const double p = binomial_p({k, n}, risk);
        const auto tail = reference::at_most_k(k, n, risk, binomials.row(n));
        EXPECT_TRUE(tail.at_most(p)) << k << " of " << n << " at " << risk;
        if (p > 0x1p-1022) {
          EXPECT_FALSE(tail.at_most(inward(p, 2, true))) << k << " of " << n << " at " << risk;
        }
      }
}

// Distance from the true limit outward, in units in the last place; negative if the limit is on the wrong side.
double outward_units(double limit, const char* truth, bool upper) {
  const reference::Wide gap = upper ? limit - reference::Wide(truth) : reference::Wide(truth) - limit;
  return static_cast<double>(gap / (std::nextafter(limit, 2.0) - limit));
}

TEST(ClopperPearson, LargeSamplesAgreeWithThirtyDigitsToTheLastPlaceOutward) {
  for (const auto& golden : statistical::golden_limits) {
    const Count count{golden.violations, golden.n};
    const double above = outward_units(clopper_pearson_upper(count, Delta{golden.beta}), golden.upper, true);
    const double below = outward_units(clopper_pearson_lower(count, Delta{golden.beta}), golden.lower, false);
    const bool tiny = reference::Wide(golden.lower) < 0x1p-900;  // counts as 0
    EXPECT_TRUE(!tiny || clopper_pearson_lower(count, Delta{golden.beta}) == 0.0);
    for (const double units : {above, tiny ? 0.0 : below}) {
      EXPECT_GE(units, 0.0) << golden.violations << " of " << golden.n << " at " << golden.beta;
      EXPECT_LE(units, 1.0) << golden.violations << " of " << golden.n << " at " << golden.beta;
    }
  }
}

}  // namespace
}  // namespace mpp::guarantees

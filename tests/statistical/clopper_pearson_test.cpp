#include <mpp/core/guarantees/limits.hpp>

#include <gtest/gtest.h>

#include <array>
#include <bit>
#include <cstdlib>

#include "statistical/exact_binomial.hpp"
#include "statistical/golden_limits.hpp"

namespace mpp::guarantees {
namespace {

using reference::Binomials;

constexpr std::array levels{0.1, 0.05, 0.01, 1e-6};

double inward(double x, std::int64_t steps, bool upper) {
  return std::bit_cast<double>(std::bit_cast<std::int64_t>(x) + (upper ? -steps : steps));
}

struct Found {
  std::uint64_t unsound = 0;       // limits whose tail is above beta, exactly
  std::uint64_t not_tightest = 0;  // limits with a sound double further inward
  std::int64_t widest_gap = 0;     // doubles from a limit inward to the first unsound one; 9 stands for more than 8
};

// Exact decision for every (n, k): the limit is sound, and how many doubles further inward soundness ends.
template <class Limit>
Found examine(std::uint64_t largest, bool upper, const Limit& limit) {
  Binomials binomials;
  Found found;
  for (std::uint64_t n = 1; n <= largest; ++n) {
    const auto& row = binomials.row(n);
    for (std::uint64_t k = upper ? 0 : 1; k < (upper ? n : n + 1); ++k)
      for (const double beta : levels) {
        const double x = limit(Count{k, n}, Delta{beta});
        const auto sound = [&](double y) {
          if (y <= 0.0) return !upper;
          if (y >= 1.0) return upper;
          return (upper ? reference::at_most_k(k, n, y, row) : reference::at_least_k(k, n, y, row)).at_most(beta);
        };
        found.unsound += !sound(x);
        std::int64_t gap = 1;
        while (gap <= 8 && sound(inward(x, gap, upper))) ++gap;
        found.not_tightest += gap > 1;
        found.widest_gap = std::max(found.widest_gap, gap);
      }
  }
  return found;
}

TEST(ClopperPearson, UpperLimitIsTheTightestSoundDoubleForEveryCountUpTo200) {
  const Found found = examine(200, true, clopper_pearson_upper);
  EXPECT_EQ(found.unsound, 0U);
  EXPECT_EQ(found.not_tightest, 0U);
}
TEST(ClopperPearson, LowerLimitIsTheTightestSoundDoubleForEveryCountUpTo200) {
  const Found found = examine(200, false, clopper_pearson_lower);
  EXPECT_EQ(found.unsound, 0U);
  // One trial, one violation: the limit is beta itself, and a tail that is rounded up cannot show that it is equal.
  EXPECT_EQ(found.not_tightest, levels.size());
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
    for (const double units : {above, below}) {
      EXPECT_GE(units, 0.0) << golden.violations << " of " << golden.n << " at " << golden.beta;
      EXPECT_LE(units, 1.0) << golden.violations << " of " << golden.n << " at " << golden.beta;
    }
  }
}

}  // namespace
}  // namespace mpp::guarantees

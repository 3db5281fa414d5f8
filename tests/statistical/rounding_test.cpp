#include <mpp/core/error.hpp>
#include <mpp/core/guarantees/limits.hpp>

#include <gtest/gtest.h>

#include "statistical/outward.hpp"

namespace mpp::guarantees {
namespace {

using statistical::Formula;
using statistical::rounding;

void expect_outward(Formula formula, const statistical::UpperLimit& limit) {
  const auto found = rounding(formula, limit);
  EXPECT_EQ(found.inside, 0U) << found.first;
  EXPECT_EQ(found.loose, 0U) << found.first;
}

TEST(HoeffdingBentkus, UpperLimitIsOutsideItsFormulaAndCloseToIt) {
  expect_outward(Formula::hoeffding_bentkus, hoeffding_bentkus_upper);
}
TEST(EmpiricalBernstein, UpperLimitIsOutsideItsFormulaAndCloseToIt) {
  expect_outward(Formula::empirical_bernstein, empirical_bernstein_upper);
}
TEST(Betting, UpperLimitIsOutsideItsFormulaAndCloseToIt) { expect_outward(Formula::betting, betting_upper); }

// The formula for 1 - losses bounds 1 - mean from above. 1 - loss is a double for losses that are multiples of 2^-53.
template <class Lower, class Formula>
void expect_outward_below(const Lower& lower, const Formula& allows) {
  for (auto losses : statistical::awkward_samples()) {
    for (double& loss : losses) loss = 1.0 - (1.0 - loss);
    std::vector<double> mirrored(losses);
    for (double& loss : mirrored) loss = 1.0 - loss;
    for (const double beta : {0.1, 0.01, 1e-6}) {
      const double x = lower(losses, Delta{beta});
      // Below 1e-40, 1 - x in 60 digits says too little of x.
      EXPECT_TRUE(x < 1e-40 || allows(mirrored, beta, 1 - reference::Wide(x)))
          << losses.size() << ' ' << losses[0] << ' ' << x;
      EXPECT_TRUE(x > 1.0 - 1e-11 || !allows(mirrored, beta, 1 - reference::Wide(x) - 1e-11))
          << losses.size() << ' ' << losses[0] << ' ' << x;
    }
  }
}
TEST(HoeffdingBentkus, LowerLimitIsOutsideItsFormulaAndCloseToIt) {
  expect_outward_below(hoeffding_bentkus_lower, [](const auto& losses, double beta, const auto& x) {
    return statistical::allows(Formula::hoeffding_bentkus, losses, beta, x);
  });
}
TEST(EmpiricalBernstein, LowerLimitIsOutsideItsFormulaAndCloseToIt) {
  expect_outward_below(empirical_bernstein_lower, [](const auto& losses, double beta, const auto& x) {
    return statistical::allows(Formula::empirical_bernstein, losses, beta, x);
  });
}
TEST(Betting, LowerLimitIsOutsideItsFormulaAndCloseToIt) {
  // The bets are computed from the losses themselves: mirrored ones may round them differently.
  for (const auto& losses : statistical::awkward_samples())
    for (const double beta : {0.1, 0.01, 1e-6}) {
      const double x = betting_lower(losses, Delta{beta});
      const auto allows = [&](const reference::Wide& y) {
        return y <= 0 || reference::betting_wealth(losses, beta, y, false) * beta >= 1;
      };
      EXPECT_TRUE(allows(x)) << losses.size() << ' ' << losses[0];
      EXPECT_TRUE(x > 1.0 - 1e-11 || !allows(reference::Wide(x) + 1e-11)) << losses.size() << ' ' << losses[0];
    }
}

TEST(PValues, AreNotBelowTheirFormulasAndAgreeWithTheLimits) {
  for (const auto& losses : statistical::awkward_samples())
    for (const double risk : {0.0, 1e-6, 0.01, 0.5, 0.999, 1.0}) {
      const double mixed = hoeffding_bentkus_p(losses, risk);
      const reference::Wide truth = reference::hoeffding_bentkus(losses, risk);
      EXPECT_GE(mixed, std::min<reference::Wide>(1, truth)) << losses.size() << ' ' << losses[0] << ' ' << risk;
      // Near its jump from 1 to 0, at a mean of 1 less than rounding can tell from the risk, only the safe side is
      // asked.
      EXPECT_TRUE(mixed <= std::max<reference::Wide>(1e-290, truth * (1 + 1e-9)) || losses[0] == 1.0 - 0x1p-53)
          << losses.size() << ' ' << losses[0] << ' ' << risk;
      const double wealth = betting_p(losses, risk, Delta{0.05});
      const reference::Wide one = reference::betting_wealth(losses, 0.05, risk, true);
      EXPECT_GE(wealth * one, 1) << losses.size() << ' ' << losses[0] << ' ' << risk;
      EXPECT_LE(wealth * one, 1 + 1e-9) << losses.size() << ' ' << losses[0] << ' ' << risk;
    }
}

}  // namespace
}  // namespace mpp::guarantees

#include <mpp/core/control/bound.hpp>

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <random>

namespace mpp {
namespace {

constexpr double inf = std::numeric_limits<double>::infinity();
constexpr double nan = std::numeric_limits<double>::quiet_NaN();

// Templated over the rule that certifies, so that a wrong rule can be shown to fail.
template <class Rule>
bool certifies_only_bounds(Rule within) {
  for (const double value : {nan, -nan, -1.0, -inf, -std::numeric_limits<double>::denorm_min()})
    for (const double epsilon : {0.0, 1.0, inf})
      if (within(value, epsilon)) return false;
  for (const double value : {0.0, 1.0, inf})
    if (within(value, nan)) return false;
  return within(0.0, 0.0) && within(1.0, 1.0) && within(inf, inf) && !within(std::nextafter(1.0, 2.0), 1.0);
}

TEST(ErrorBound, NaNAndNegativeValuesAreNeverWithinEpsilon) {
  EXPECT_TRUE(certifies_only_bounds(
      [](double value, double epsilon) { return ErrorBound::deterministic(value).within({epsilon}); }));
}
TEST(ErrorBound, TheTestAboveCatchesRulesThatLetNaNOrNegativeValuesPass) {
  EXPECT_FALSE(certifies_only_bounds([](double value, double epsilon) { return !(value > epsilon); }));
  EXPECT_FALSE(certifies_only_bounds([](double value, double epsilon) { return value <= epsilon; }));
  EXPECT_FALSE(certifies_only_bounds([](double value, double epsilon) { return std::abs(value) <= epsilon; }));
}

TEST(ErrorBound, TheDefaultIsNoBound) {
  EXPECT_TRUE(std::isnan(ErrorBound().value()));
  EXPECT_FALSE(ErrorBound::none().within({inf}));
}

TEST(ErrorBound, KindAndDeltaAgree) {
  EXPECT_EQ(ErrorBound::deterministic(0.5).delta().value, 0.0);
  EXPECT_EQ(ErrorBound::exact().kind(), BoundKind::deterministic);
  EXPECT_EQ(ErrorBound::randomized(0.5, {0.1}).kind(), BoundKind::randomized);
  EXPECT_EQ(ErrorBound::calibrated(0.5, {0.1}).kind(), BoundKind::calibrated);
  EXPECT_EQ(ErrorBound::calibrated(0.5, {0.1}).delta().value, 0.1);
}

// 64 bits of mantissa hold the sum of two doubles of similar size exactly.
template <class Add>
bool never_below_the_exact_sum(Add add) {
  std::mt19937_64 random(11);
  std::uniform_real_distribution<double> uniform(0.0, 0.5);
  for (int i = 0; i < 10000; ++i) {
    const double a = uniform(random), b = uniform(random);
    if (static_cast<long double>(add(a, b)) < static_cast<long double>(a) + static_cast<long double>(b)) return false;
  }
  return true;
}

TEST(Delta, SumsRoundUp) {
  EXPECT_TRUE(never_below_the_exact_sum([](double a, double b) { return (Delta{a} + Delta{b}).value; }));
  EXPECT_GT((Delta{0.5} + Delta{1e-300}).value, 0.5);
}
TEST(Delta, TheTestAboveCatchesSumsRoundedToNearest) {
  EXPECT_FALSE(never_below_the_exact_sum([](double a, double b) { return a + b; }));
}
TEST(Delta, ExactSumsStayExact) {
  EXPECT_EQ((Delta{0.25} + Delta{0.5}).value, 0.75);
  EXPECT_EQ((Delta{0.1} + Delta{0.0}).value, 0.1);
}
TEST(Delta, SumsStopAtOne) {
  EXPECT_EQ((Delta{0.7} + Delta{0.7}).value, 1.0);
  EXPECT_EQ((Delta{inf} + Delta{0.1}).value, 1.0);
  EXPECT_EQ((Delta{nan} + Delta{0.1}).value, 1.0);
  EXPECT_EQ((Delta{0.1} + Delta{nan}).value, 1.0);
}

TEST(Names, OfEveryBoundKind) {
  EXPECT_EQ(name(BoundKind::deterministic), "deterministic");
  EXPECT_EQ(name(BoundKind::randomized), "randomized");
  EXPECT_EQ(name(BoundKind::calibrated), "calibrated");
}

}  // namespace
}  // namespace mpp

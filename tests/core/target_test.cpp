#include <mpp/core/control/target.hpp>

#include <gtest/gtest.h>

#include <limits>
#include <string>

namespace mpp {
namespace {

constexpr double inf = std::numeric_limits<double>::infinity();
constexpr double nan = std::numeric_limits<double>::quiet_NaN();

TEST(QualityTarget, TheDefaultAsksForTheExactLevel) {
  EXPECT_EQ(QualityTarget{}.epsilon.value, 0.0);
  EXPECT_EQ(QualityTarget{}.delta.value, 0.0);
  EXPECT_NO_THROW(QualityTarget{}.validate());
}

TEST(QualityTarget, AcceptsTheEdgesOfItsDomain) {
  EXPECT_NO_THROW((QualityTarget{.epsilon = {inf}}.validate()));
  EXPECT_NO_THROW((QualityTarget{.epsilon = {-0.0}, .delta = {1.0 - 0x1p-53}}.validate()));
}

TEST(QualityTarget, RefusesWhatIsOutsideItsDomain) {
  for (const double epsilon : {nan, -1e-300, -inf})
    EXPECT_THROW((QualityTarget{.epsilon = {epsilon}}.validate()), ValueError) << epsilon;
  for (const double delta : {nan, -1e-300, -inf, 1.0, inf})
    EXPECT_THROW((QualityTarget{.delta = {delta}}.validate()), ValueError) << delta;
}

TEST(QualityTarget, TheErrorNamesTheArgumentAndItsValue) {
  try {
    QualityTarget{.delta = {1.5}}.validate();
    FAIL() << "expected ValueError";
  } catch (const ValueError& error) {
    EXPECT_EQ(std::string(error.what()), "QualityTarget: delta is 1.5, expected in [0, 1)");
  }
}

}  // namespace
}  // namespace mpp

#include <gtest/gtest.h>

#include <map>

#include "statistical/procedures.hpp"

namespace mpp::statistical {
namespace {

class Validity : public testing::TestWithParam<Claim> {};

TEST_P(Validity, IsWrongNoMoreOftenThanDeltaAtTheBoundary) {
  const auto cells = ValidityCheck(GetParam(), Scale{}).run();
  RecordProperty("cells", static_cast<int>(cells.size()));
  for (const Cell& cell : cells) EXPECT_FALSE(cell.rejected) << describe(cell);
}
INSTANTIATE_TEST_SUITE_P(Library, Validity, testing::ValuesIn(library_claims()),
                         [](const auto& claim) { return claim.param.name; });

TEST(Validity, ClopperPearsonSpendsTheWholeLevelJustAboveItsLimits) {
  double most = 0.0;
  for (const Cell& cell : ValidityCheck(library_claims().front(), Scale{}).run())
    most = std::max(most, cell.rate / cell.delta);
  EXPECT_GT(most, 1.0 - 1e-9);  // so the exact cells can see any excess
}

// docs/guarantees.md: the rate of wrong claims that one simulated cell rejects with probability 90 %.
TEST(Validity, ASimulatedCellHasTheDocumentedPower) {
  const auto rate = [](std::size_t n, double delta) {
    const std::array<double, 3> rates = n >= 5000   ? std::array{0.397, 0.303, 0.173}
                                        : n >= 1000 ? std::array{0.219, 0.143, 0.065}
                                        : n >= 299  ? std::array{0.161, 0.097, 0.035}
                                                    : std::array{0.124, 0.068, 0.019};
    return rates[delta > 0.07 ? 0 : delta > 0.03 ? 1 : 2];
  };
  Uniform uniform(11);
  const Claim wrong_too_often{"wrong at the rate", false, true, false,
                              [&](std::span<const double> losses, double, Delta delta) {
                                return uniform() < rate(losses.size(), delta.value);
                              }};
  std::map<std::size_t, std::array<double, 2>> seen;  // by n: cells, and those that are rejected
  for (const Cell& cell : ValidityCheck(wrong_too_often, Scale{}).run()) {
    ++seen[cell.n][0];
    seen[cell.n][1] += cell.rejected ? 1.0 : 0.0;
  }
  for (const auto& [n, cells] : seen) EXPECT_GE(cells[1] / cells[0], 0.7) << n;  // some 25 cells a size: 3 deviations
}

TEST(Validity, AllCellsFitTheFamilyThatTheLevelIsSplitOver) {
  double cells = 0.0;
  for (Claim claim : library_claims()) {
    claim.wrong = [](auto&&...) { return false; };
    cells += static_cast<double>(ValidityCheck(claim, Scale{0.01}).run().size());
  }
  EXPECT_LE(cells, family_size / 4.0);  // room for the procedures of calibration and audit
}

}  // namespace
}  // namespace mpp::statistical

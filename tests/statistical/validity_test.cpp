#include <gtest/gtest.h>

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

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <set>

#include <mpp/ranking/cells.hpp>

#include "domains/pool_samples.hpp"

namespace mpp::ranking {
namespace {

using namespace mpp::test;

constexpr float nan = std::numeric_limits<float>::quiet_NaN();

TEST(SingleCell, IsTheMeanInDouble) {
  const std::vector<float> rows{1e8F, 3e38F, 1.0F, 3e38F, -1e8F, 3e38F, 1.0F, 3e38F};  // 4 rows of 2
  const Cells cells = single_cell(rows, 2);
  EXPECT_EQ(cells.centers, (std::vector<float>{0.5F, 3e38F}));
  EXPECT_EQ(cells.assignment, (std::vector<std::uint32_t>{0, 0, 0, 0}));
}

TEST(SingleCell, TheTestAboveCatchesASumInFloat) {
  float lost = 0.0F;
  float overflowed = 0.0F;
  for (const float x : {1e8F, 1.0F, -1e8F, 1.0F}) {
    lost += x;
    overflowed += 3e38F;
  }
  EXPECT_NE(lost / 4.0F, 0.5F);
  EXPECT_NE(overflowed / 4.0F, 3e38F);
}

TEST(SingleCell, OfNoRowsIsTheOrigin) {
  const Cells cells = single_cell({}, 3);
  EXPECT_EQ(cells.centers, (std::vector<float>{0.0F, 0.0F, 0.0F}));
  EXPECT_TRUE(cells.assignment.empty());
}

TEST(SingleCell, RefusesHalfARow) {
  const std::vector<float> rows(5);
  EXPECT_THROW(static_cast<void>(single_cell(rows, 2)), ShapeError);
  EXPECT_THROW(static_cast<void>(single_cell(rows, 0)), ShapeError);
}

class KmeansCells : public testing::Test {
 protected:
  void SetUp() override {
    try {
      static_cast<void>(kmeans_cells(std::vector<float>{1.0F}, 1, 1, 1));
    } catch (const BackendUnavailable& error) {
      EXPECT_NE(std::string(error.what()).find("MPP_FAISS=ON"), std::string::npos) << "says how to get it";
      GTEST_SKIP() << error.what();
    }
  }
};

double distance(const float* a, const float* b, std::size_t dims) {
  double sum = 0.0;
  for (std::size_t j = 0; j < dims; ++j) sum += (double{a[j]} - b[j]) * (double{a[j]} - b[j]);
  return sum;
}

TEST_F(KmeansCells, AssignEveryRowToItsNearestCentre) {
  constexpr std::size_t dims = 5;
  const std::vector<float> rows = random_rows(3000, dims, 1);
  const Cells cells = kmeans_cells(rows, dims, 7, 42);  // 3000 >= 7 * 64: trained on a sample
  ASSERT_EQ(cells.centers.size(), 7 * dims);
  ASSERT_EQ(cells.assignment.size(), 3000U);
  for (std::size_t i = 0; i < 3000; ++i) {
    ASSERT_LT(cells.assignment[i], 7U);
    double best = std::numeric_limits<double>::infinity();
    for (std::size_t c = 0; c < 7; ++c)
      best = std::min(best, distance(&rows[i * dims], &cells.centers[c * dims], dims));
    // FAISS may expand ||x - c||^2 = ||x||^2 - 2 x.c + ||c||^2 in float: about dims + 3 roundings of values up to 20.
    EXPECT_LE(distance(&rows[i * dims], &cells.centers[cells.assignment[i] * dims], dims), best + 20 * 8 * 0x1p-23);
  }
}

TEST_F(KmeansCells, FindClustersThatLieFarApart) {
  std::vector<float> rows = random_rows(600, 2, 2);
  for (std::size_t i = 0; i < 600; ++i) rows[2 * i] += 100.0F * static_cast<float>(i % 3);
  const Cells cells = kmeans_cells(rows, 2, 3, 1);
  EXPECT_EQ(std::set(cells.assignment.begin(), cells.assignment.begin() + 3).size(), 3U);
  for (std::size_t i = 3; i < 600; ++i) EXPECT_EQ(cells.assignment[i], cells.assignment[i % 3]);
}

TEST_F(KmeansCells, AreTheSameForASeed) {
  const std::vector<float> rows = random_rows(2000, 4, 3);
  const Cells a = kmeans_cells(rows, 4, 5, 9);
  const Cells b = kmeans_cells(rows, 4, 5, 9);
  EXPECT_EQ(a.centers, b.centers);
  EXPECT_EQ(a.assignment, b.assignment);
  EXPECT_NE(a.centers, kmeans_cells(rows, 4, 5, 10).centers);
}

TEST_F(KmeansCells, AssignRowsOfEveryChunk) {
  constexpr std::size_t n = 65536 + 1;  // one row more than a chunk
  std::vector<float> rows(n);
  for (std::size_t i = 0; i < n; ++i) rows[i] = i % 2 == 0 ? 1.0F : -1.0F;
  rows.back() = -1.0F;  // unlike the first row of the first chunk
  const Cells cells = kmeans_cells(rows, 1, 2, 1);
  EXPECT_NE(cells.assignment[0], cells.assignment[1]);
  EXPECT_EQ(cells.assignment.back(), cells.assignment[1]);
}

TEST_F(KmeansCells, MayBeAsManyAsRowsAndPrintNothing) {
  const std::vector<float> rows = random_rows(9, 2, 4);
  testing::internal::CaptureStderr();
  testing::internal::CaptureStdout();
  const Cells cells = kmeans_cells(rows, 2, 9, 1);
  static_cast<void>(kmeans_cells(rows, 2, 8, 1));  // far fewer rows a centre than FAISS asks for
  EXPECT_EQ(testing::internal::GetCapturedStdout(), "");
  EXPECT_EQ(testing::internal::GetCapturedStderr(), "");
  EXPECT_EQ(std::set(cells.assignment.begin(), cells.assignment.end()).size(), 9U);
}

TEST_F(KmeansCells, TakeTheLargestValuesThatFloatDistancesAllow) {
  std::vector<float> rows = random_rows(1000, 2, 6);
  for (float& x : rows) x *= 3e18F;  // sqrt(largest float / (16 * 2)) is 3.26e18
  const Cells cells = kmeans_cells(rows, 2, 3, 1);
  EXPECT_LT(*std::ranges::max_element(cells.assignment), 3U);
}

TEST_F(KmeansCells, RefuseCountsAndValuesThatMakeNoSense) {
  std::vector<float> rows = random_rows(1000, 2, 5);
  EXPECT_THROW(static_cast<void>(kmeans_cells(rows, 2, 0, 1)), ValueError);
  EXPECT_THROW(static_cast<void>(kmeans_cells(rows, 2, 1001, 1)), ValueError);
  EXPECT_THROW(static_cast<void>(kmeans_cells(rows, 3, 2, 1)), ShapeError);
  EXPECT_THROW(static_cast<void>(kmeans_cells(rows, 0, 2, 1)), ShapeError);
  for (std::size_t i = 0; i < 1000; i += 13) {  // in the sample or not
    std::vector<float> bad = rows;
    bad[2 * i] = nan;
    EXPECT_THROW(static_cast<void>(kmeans_cells(bad, 2, 2, 1)), ValueError) << i;
    bad[2 * i] = 1e19F;  // its square is beyond float, on which FAISS would abort
    EXPECT_THROW(static_cast<void>(kmeans_cells(bad, 2, 2, 1)), ValueError) << i;
  }
}

}  // namespace
}  // namespace mpp::ranking

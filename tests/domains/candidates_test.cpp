#include <gtest/gtest.h>

#include <algorithm>
#include <bit>
#include <limits>
#include <numeric>

#include <mpp/ranking/candidates.hpp>
#include <mpp/ranking/filter.hpp>

#include "domains/pool_samples.hpp"

namespace mpp::ranking {
namespace {

using namespace mpp::test;

constexpr std::size_t everything = std::numeric_limits<std::size_t>::max();

// Rows i = 0 ... 299 in three far clusters around 100 e_(i % 3).
std::vector<float> clusters() {
  std::vector<float> rows = random_rows(300, 3, 1);
  for (std::size_t i = 0; i < 300; ++i) rows[3 * i + i % 3] += 100.0F;
  return rows;
}

class IvfCandidatesTest : public testing::TestWithParam<Metric> {
 protected:
  void SetUp() override {
    try {
      index = std::make_unique<IvfCandidates>(clusters(), 3, 3, GetParam());
    } catch (const BackendUnavailable& error) {
      EXPECT_NE(std::string(error.what()).find("MPP_FAISS=ON"), std::string::npos) << "says how to get it";
      GTEST_SKIP() << error.what();
    }
  }
  std::unique_ptr<IvfCandidates> index;
  std::vector<float> query{0.1F, 50.0F, 20.0F};  // nearest to cluster 1, then 2, then 0
};

TEST_P(IvfCandidatesTest, AreAllRowsWhenAllCellsAreProbed) {
  for (const std::size_t nprobe : {std::size_t{3}, everything}) {
    auto ids = index->candidates(query, nprobe, everything);
    std::ranges::sort(ids);
    std::vector<std::uint64_t> all(300);
    std::iota(all.begin(), all.end(), std::uint64_t{0});
    EXPECT_EQ(ids, all);
  }
}

TEST_P(IvfCandidatesTest, ComeCellAfterCellTheNearestFirst) {
  const auto ids = index->candidates(query, 2, everything);
  ASSERT_EQ(ids.size(), 200U);
  for (std::size_t i = 0; i < 100; ++i) {
    EXPECT_EQ(ids[i], 3 * i + 1);
    EXPECT_EQ(ids[100 + i], 3 * i + 2);
  }
}

TEST_P(IvfCandidatesTest, AreTheFirstOnesWhenLimited) {
  const auto ids = index->candidates(query, 3, everything);
  for (const std::size_t limit : {0U, 1U, 99U, 100U, 101U, 299U, 300U, 301U}) {
    const auto first = index->candidates(query, 3, limit);
    ASSERT_EQ(first.size(), std::min<std::size_t>(limit, 300));
    EXPECT_TRUE(std::equal(first.begin(), first.end(), ids.begin())) << limit;
  }
}

TEST_P(IvfCandidatesTest, AreIdsThatAFilterOfThePoolTakes) {
  PoolOptions options;
  options.metric = GetParam();
  const Pool pool = Pool::build(clusters(), 3, options);
  const auto ids = index->candidates(query, 1, everything);
  const Filter filter(pool, ids);
  std::size_t allowed = 0;
  for (const std::uint64_t word : filter.bits()) allowed += static_cast<std::size_t>(std::popcount(word));
  EXPECT_EQ(allowed, ids.size());
}

TEST_P(IvfCandidatesTest, KeepFourBytesARowAndTheCentres) {
  EXPECT_EQ(index->cells(), 3U);
  EXPECT_EQ(index->dims(), 3U);
  EXPECT_EQ(index->bytes(), Bytes{300 * 4 + 9 * 4 + 4 * 8});
}

TEST_P(IvfCandidatesTest, RefuseQueriesThatDoNotFit) {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  EXPECT_THROW(static_cast<void>(index->candidates(std::vector<float>{1.0F, 2.0F}, 1, 1)), ShapeError);
  EXPECT_THROW(static_cast<void>(index->candidates(std::vector<float>{1.0F, nan, 2.0F}, 1, 1)), ValueError);
  EXPECT_THROW(static_cast<void>(index->candidates(query, 0, 1)), ValueError);
  EXPECT_THROW(static_cast<void>(index->candidates(std::vector<float>(3, 1e19F), 1, 1)), ValueError)
      << "no float distance is finite";
}

TEST_P(IvfCandidatesTest, RefuseRowsThatDoNotFit) {
  EXPECT_THROW(IvfCandidates(std::vector<float>(5), 3, 1, GetParam()), ShapeError);
  EXPECT_THROW(IvfCandidates(clusters(), 3, 301, GetParam()), ValueError);
  if (GetParam() == Metric::cosine) {
    EXPECT_THROW(IvfCandidates(std::vector<float>(6), 3, 1, GetParam()), ValueError) << "length zero";
  }
}

INSTANTIATE_TEST_SUITE_P(Metrics, IvfCandidatesTest,
                         testing::Values(Metric::inner_product, Metric::cosine, Metric::l2));

// Rows along two directions at very different lengths: cosine cells go by direction, as its ranking does.
TEST(IvfCandidates, OfCosineIgnoreTheLengthOfRows) {
  std::vector<float> rows;
  for (int i = 0; i < 100; ++i) {
    const float length = i % 10 < 5 ? 1e-3F : 1e3F;
    rows.insert(rows.end(), {i % 2 == 0 ? length : 0.0F, i % 2 == 0 ? 0.0F : length});
  }
  try {
    const IvfCandidates index(rows, 2, 2, Metric::cosine);
    const auto ids = index.candidates(std::vector<float>{0.0F, 1.0F}, 1, everything);
    EXPECT_EQ(ids.size(), 50U);
    EXPECT_TRUE(std::ranges::all_of(ids, [](std::uint64_t id) { return id % 2 == 1; }));
  } catch (const BackendUnavailable& error) {
    GTEST_SKIP() << error.what();
  }
}

}  // namespace
}  // namespace mpp::ranking

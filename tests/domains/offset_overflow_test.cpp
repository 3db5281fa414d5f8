// A query so far from its pool, in the pool's unit, that the score of a centre does not fit a float.
#include <mpp/ranking/ranker.hpp>

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

namespace mpp::ranking {
namespace {

constexpr std::size_t dims = 2;
constexpr std::size_t k = 10;

// 200 rows of almost one point; the later half is nearer to the query by a few units in the last place of a double.
std::vector<float> almost_one_point() {
  std::vector<float> rows;
  for (std::size_t i = 0; i < 200; ++i) {
    rows.push_back(0.4F);
    rows.push_back(i < 100 ? -0x1p-53F : 0x1p-53F);
  }
  return rows;
}

TEST(OffsetBeyondFloat, KeepsEveryRowOpenUntilItIsExact) {
  PoolOptions options;
  options.metric = Metric::l2;
  const Pool pool = Pool::build(almost_one_point(), dims, options);
  const std::vector<float> query{0.0F, 0.2F};
  for (const Level first : {Level{0}, Level{1}, Level{2}})
    for (const RankMetric metric : {RankMetric::score_regret, RankMetric::certified_recall}) {
      Ledger ledger(Footprint::unlimited());
      const Ranker ranker(pool, ledger, {.first_level = first}, metric);
      const auto outcome = ranker.serve({.query = query, .k = k});
      ASSERT_TRUE(outcome.certified());
      for (std::size_t i = 0; i < k; ++i) EXPECT_EQ(outcome.value().items[i].id, 100 + i) << "first level " << first;
    }
}
TEST(OffsetBeyondFloat, IsWhatTheTestAboveLooksAt) {
  PoolOptions options;
  options.metric = Metric::l2;
  const Pool pool = Pool::build(almost_one_point(), dims, options);
  QueryFrame frame(std::pmr::new_delete_resource());
  make_frame(pool, std::vector<float>{0.0F, 0.2F}, {}, frame);
  EXPECT_TRUE(std::isinf(frame.block_offset.front()));
  EXPECT_TRUE(std::isfinite(frame.coarse.q2));
  EXPECT_TRUE(std::isinf(frame.coarse.slack));
}

// The recall that is claimed after the sign plane, when almost nothing is known yet.
template <class Break>
double claimed_recall(const Break& change) {
  PoolOptions options;
  options.metric = Metric::l2;
  const Pool pool = Pool::build(almost_one_point(), dims, options);
  const std::vector<float> query{0.0F, 0.2F};
  const RankTier tier(pool);
  const RankRequest request{.query = query, .k = k};
  RankState state(std::pmr::new_delete_resource());
  tier.materialise(request, state, 0);
  change(state.frame);
  return tier.execute(request, state, 0).certified_recall;
}
TEST(OffsetBeyondFloat, CertifiesNoRowFromItsCodes) {
  EXPECT_EQ(claimed_recall([](QueryFrame&) {}), 0.0);
}
TEST(OffsetBeyondFloat, TheTestAboveCatchesAFiniteSlack) {
  EXPECT_GT(claimed_recall([](QueryFrame& f) { f.coarse.slack = 1e33F; }), 0.0);
}

}  // namespace
}  // namespace mpp::ranking

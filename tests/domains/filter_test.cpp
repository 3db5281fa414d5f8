#include <mpp/ranking/filter.hpp>

#include <gtest/gtest.h>

#include <string>

#include "domains/interval_walk.hpp"
#include "domains/ranking_scenes.hpp"
#include "reference/ranking_reference.hpp"

namespace mpp::ranking {
namespace {

using namespace mpp::test;
using reference::PlainPool;
using Ids = std::vector<std::uint64_t>;

Ids every(std::uint64_t step, std::uint64_t end, std::uint64_t first = 0) {
  Ids ids;
  for (std::uint64_t id = first; id < end; id += step) ids.push_back(id);
  return ids;
}

TEST(Filter, LeavesTheBruteForceAnswerOfItsRows) {
  for (const Metric metric : metrics)
    for (const std::size_t n : {64, 65, 1000}) {
      const Scene scene = family_scene(Family::clustered, n, 3, 20);
      const Pool pool = build(scene, metric);
      const PlainPool plain(scene.rows, 20, metric);
      for (const Ids& ids : {Ids{}, Ids{0}, Ids{n - 1}, Ids{63, 0, 63, 0}, every(2, n), every(97, n, 5), every(1, n)}) {
        const Filter filter(pool, ids);
        const std::set<std::uint64_t> allowed(ids.begin(), ids.end());
        for (const RankOptions options : {RankOptions{}, RankOptions{.first_level = 2}}) {
          const Served served(pool, options);
          for (std::size_t q = 0; q < 3; ++q)
            for (const std::size_t k : {std::size_t{1}, std::size_t{10}, n + 5}) {
              const auto outcome = served.ranker.serve({.query = scene.query(q), .k = k, .filter = &filter});
              EXPECT_TRUE(same(outcome.value(), plain.top(scene.query(q), k, &allowed)))
                  << metric_name(metric) << ", rows " << n << ", ids " << ids.size() << ", k " << k;
            }
        }
      }
    }
}

TEST(Filter, KeepsIntervalsAndClosedRowsSound) {
  Walk found;
  for (const Metric metric : metrics)
    for (const Scene& scene : hard_scenes(200, 16, metric)) {
      const Pool pool = build(scene, metric);
      const Filter filter(pool, every(3, 200));
      for (std::size_t q = 0; q < scene.query_count(); ++q)
        for (const std::size_t k : {std::size_t{1}, std::size_t{10}, std::size_t{100}})
          for (const bool rescore : {true, false})
            found +=
                walk(pool, {.query = scene.query(q), .k = k, .filter = &filter}, {.pilot = 10, .rescore = rescore});
    }
  EXPECT_GT(found.checks, 100'000U);
  EXPECT_EQ(found.violations, 0U) << found.first;
}

TEST(Filter, MakesRequestsSmaller) {
  const Scene scene = family_scene(Family::gaussian, 1000, 1, 32);
  const Pool pool = build(scene, Metric::inner_product);
  const Filter few(pool, every(100, 1000));
  const RankTier tier(pool);
  const RankRequest all{.query = scene.query(0)}, some{.query = scene.query(0), .filter = &few};
  for (Level level = 0; level < block_planes; ++level)  // a sum for each slot
    EXPECT_EQ(tier.footprint(some, level), tier.footprint(all, level));
  for (Level level = block_planes; level < tier.levels(); ++level)
    EXPECT_LT(tier.footprint(some, level).total(), tier.footprint(all, level).total());
}

TEST(Filter, KeepsOutRowsThatAreRemovedLater) {
  const Scene scene = family_scene(Family::gaussian, 100, 1, 8);
  Pool pool = build(scene, Metric::l2);
  const Filter filter(pool, every(2, 100));
  const auto best = Served(pool).ranker.serve({.query = scene.query(0), .k = 1, .filter = &filter}).value().items[0].id;
  pool.remove(best);
  PlainPool plain(scene.rows, 8, Metric::l2);
  plain.remove(best);
  const Ids ids = every(2, 100);
  const std::set<std::uint64_t> allowed(ids.begin(), ids.end());
  const Served served(pool);
  EXPECT_TRUE(same(served.ranker.serve({.query = scene.query(0), .k = 50, .filter = &filter}).value(),
                   plain.top(scene.query(0), 50, &allowed)));
}

TEST(Filter, NamesAnIdThatNoLiveRowHas) {
  const Scene scene = family_scene(Family::gaussian, 100, 1, 8);
  Pool pool = build(scene, Metric::l2);
  pool.remove(7);
  for (const std::uint64_t id : {std::uint64_t{7}, std::uint64_t{100}, std::uint64_t{1} << 32, ~std::uint64_t{0}}) {
    const Ids ids{3, id, 5};
    try {
      const Filter filter(pool, ids);
      ADD_FAILURE() << id;
    } catch (const ValueError& error) {
      EXPECT_NE(std::string(error.what()).find(std::to_string(id)), std::string::npos) << error.what();
    }
  }
}

TEST(Filter, IsRefusedByAnotherPoolAndAfterRowsWereAdded) {
  const Scene scene = family_scene(Family::gaussian, 100, 1, 8);
  Pool pool = build(scene, Metric::l2);
  const Filter filter(pool, every(2, 100));
  EXPECT_TRUE(filter.fits(pool));
  const Pool smaller = Pool::build(std::span(scene.rows).first(30 * 8), 8);
  const Pool as_many_blocks = Pool::build(std::span(scene.rows).first(99 * 8), 8);
  for (const Pool* other : {&smaller, &as_many_blocks}) {
    const Served served(*other);
    EXPECT_THROW((void)served.ranker.serve({.query = scene.query(0), .filter = &filter}), ValueError);
    EXPECT_TRUE(served.ranker.accounts().requests.committed().empty());
  }
  pool.add(std::span(scene.rows).first(8));
  const Filter newer(pool, every(2, 100));
  pool.add(std::span(scene.rows).first(8));  // into the same block
  const Served served(pool);
  for (const Filter* old : {&filter, &newer})
    EXPECT_THROW((void)served.ranker.serve({.query = scene.query(0), .filter = old}), ValueError);
}

}  // namespace
}  // namespace mpp::ranking

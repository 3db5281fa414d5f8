// Every interval holds its score, every row that is closed is not in the answer: for any input.
#include <gtest/gtest.h>

#include <iostream>

#include "domains/interval_walk.hpp"
#include "domains/ranking_scenes.hpp"

namespace mpp::ranking {
namespace {

using namespace mpp::test;

// With k = rows and bounds from codes alone nothing is ever closed: every row's interval is looked at on every plane.
Walk all_intervals(const Pool& pool, const Scene& scene, const FrameBreakage& breakage = {}) {
  Walk found;
  for (std::size_t q = 0; q < scene.query_count(); ++q)
    found += walk(pool, {.query = scene.query(q), .k = pool.size()}, {.rescore = false}, breakage);
  return found;
}

Walk closing(const Pool& pool, const Scene& scene) {
  Walk found;
  for (std::size_t q = 0; q < scene.query_count(); ++q)
    for (const std::size_t k : {std::size_t{1}, std::size_t{10}})
      for (const Level first : {Level{0}, Level{1}, Level{2}})
        for (const bool rescore : {true, false})
          found +=
              walk(pool, {.query = scene.query(q), .k = k}, {.pilot = 12, .rescore = rescore, .first_level = first});
  return found;
}

void expect_sound(const Walk& found, std::uint64_t at_least) {
  testing::Test::RecordProperty("checks", std::to_string(found.checks));
  std::cout << found.checks << " checks\n";
  EXPECT_GE(found.checks, at_least);
  EXPECT_EQ(found.violations, 0U) << found.first;
}

TEST(ScoreInterval, HoldsTheScoreOfEveryRowOfEveryFamily) {
  Walk found;
  for (const Metric metric : metrics)
    for (const Family family : families)
      for (const std::size_t dims : {8, 17, 64, 128}) {
        const Scene scene = family_scene(family, 4000, dims == 128 ? 2 : 6, dims);
        found += all_intervals(build(scene, metric), scene);
      }
  expect_sound(found, 2'500'000);
}

TEST(ScoreInterval, HoldsTheScoreOfHardRows) {
  Walk found;
  for (const Metric metric : metrics)
    for (const std::size_t dims : {1, 3, 8, 24, 130})
      for (const Scene& scene : hard_scenes(400, dims, metric))
        for (std::uint64_t seed = 1; seed <= 3; ++seed) found += all_intervals(build(scene, metric, seed), scene);
  expect_sound(found, 1'000'000);
}

TEST(ScoreInterval, HoldsTheScoreOfRowsThatWereAddedFarOutsideThePool) {
  Walk found;
  for (const Metric metric : metrics)
    for (const double factor : {1e-42, 1e-8, 1.0, 1e4, 1e8, 1e37}) {
      Scene scene = family_scene(Family::gaussian, 200, 3, 24);
      for (const float factors : {1e-20F, 1.0F, 1e18F}) {
        Pool pool = build(changed(scene, "first", [&](std::size_t, auto row) { scale(row, factors); }), metric);
        pool.add(changed(scene, "added", [&](std::size_t, auto row) { scale(row, factor); }).rows);
        found += all_intervals(pool, scene);
        found += closing(pool, scene);
      }
    }
  Pool empty = Pool::build({}, 24);
  const Scene scene = family_scene(Family::gaussian, 200, 3, 24);
  empty.add(scene.rows);
  found += all_intervals(empty, scene);
  expect_sound(found, 100'000);
}

// A session climbs one by one; whoever drives a tier by hand may leave levels out.
TEST(ScoreInterval, HoldsAndClosesNoRowWhicheverLevelsAreLeftOut) {
  const std::vector<Levels> climbs{{0, 2}, {0, 3}, {0, 1, 3}, {1, 3}, {2, 3}, {1}, {2}, {3}};
  Walk found;
  for (const Metric metric : metrics)
    for (const Family family : families) {
      const Scene scene = family_scene(family, 700, 3, 40);
      const Pool pool = build(scene, metric);
      for (std::size_t q = 0; q < scene.query_count(); ++q)
        for (const Levels& levels : climbs)
          for (const bool rescore : {true, false})
            found += walk(pool, {.query = scene.query(q), .k = 10}, {.pilot = 12, .rescore = rescore}, {}, levels);
    }
  expect_sound(found, 100'000);
}

TEST(ScoreInterval, ClosesNoRowOfTheExactAnswer) {
  Walk found;
  for (const Metric metric : metrics) {
    for (const Family family : families)
      for (const std::size_t dims : {17, 64}) {
        const Scene scene = family_scene(family, 3000, 4, dims);
        found += closing(build(scene, metric), scene);
      }
    for (const std::size_t dims : {8, 40})
      for (const Scene& scene : hard_scenes(300, dims, metric)) found += closing(build(scene, metric), scene);
  }
  expect_sound(found, 2'000'000);
}

}  // namespace
}  // namespace mpp::ranking

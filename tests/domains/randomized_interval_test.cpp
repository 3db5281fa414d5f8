// The probability of a randomized answer is over the rotation: pools that differ in their seed alone.
#include <gtest/gtest.h>

#include <boost/math/distributions/binomial.hpp>

#include "domains/interval_walk.hpp"
#include "domains/ranking_scenes.hpp"

namespace mpp::ranking {
namespace {

using namespace mpp::test;

constexpr std::size_t rotations = 150;
constexpr double delta = 0.25;

// More failures than this happen with probability 1e-9 to a rule that fails no more often than `probability`.
double failures_allowed(double probability) {
  const boost::math::binomial_distribution<double> failures(rotations, probability);
  return boost::math::quantile(boost::math::complement(failures, 1e-9));
}

// Rotations for which some row of the pool leaves its interval on some plane.
std::size_t failures(Metric metric, Family family, std::size_t n, const FrameBreakage& rule = {}) {
  const Scene scene = family_scene(family, n, 1, 32);
  std::size_t count = 0;
  for (std::uint64_t seed = 0; seed < rotations; ++seed) {
    const Pool pool = build(scene, metric, seed);
    const RankRequest request{.query = scene.query(0), .k = n, .delta = Delta{delta}};
    count += walk(pool, request, {.rescore = false}, rule).violations > 0 ? 1 : 0;
  }
  return count;
}

TEST(RandomizedInterval, FailsForNoMoreRotationsThanDelta) {
  for (const Metric metric : metrics)
    for (const Family family : families)
      for (const std::size_t n : {64, 300})
        EXPECT_LE(static_cast<double>(failures(metric, family, n)), failures_allowed(delta)) << metric_name(metric);
}

// RaBitQ's usual confidence factor of 1.9 is meant for one row: over a pool some row leaves its interval almost surely.
TEST(RandomizedInterval, TheTestAboveCatchesARuleWithoutTheUnionOverRows) {
  const FrameBreakage one_row = [](QueryFrame& f) { f.coarse.tail = f.fine.tail = 1.9F / std::sqrt(31.0F); };
  for (const Metric metric : metrics)
    EXPECT_GT(static_cast<double>(failures(metric, Family::gaussian, 300, one_row)), failures_allowed(delta));
}

TEST(RandomizedInterval, IsUsedByTheRequestAndNarrowerThanTheDeterministicOne) {
  const Scene scene = family_scene(Family::gaussian, 2000, 4, 256);
  const Pool pool = build(scene, Metric::inner_product);
  const RankTier tier(pool);
  for (std::size_t q = 0; q < scene.query_count(); ++q) {
    const auto open_after_signs = [&](Delta allowed) {
      const RankRequest request{.query = scene.query(q), .k = 10, .delta = allowed};
      RankState state(std::pmr::new_delete_resource());
      tier.materialise(request, state, 0);
      return tier.execute(request, state, 0).open_rows;
    };
    EXPECT_LT(open_after_signs(Delta{1e-6}), open_after_signs({}));
  }
}

}  // namespace
}  // namespace mpp::ranking

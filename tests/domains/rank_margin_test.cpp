// What RankMargin promises about an answer, against the exact ranking: at every level, whatever the target.
#include <mpp/ranking/rank_margin.hpp>

#include <gtest/gtest.h>

#include <algorithm>

#include <array>
#include <functional>
#include <limits>

#include "domains/interval_walk.hpp"
#include "domains/ranking_scenes.hpp"
#include "domains/tampered_pool.hpp"
#include "reference/ranking_reference.hpp"

namespace mpp::ranking {
namespace {

using namespace mpp::test;
using reference::PlainPool;

/// What an answer really lacks.
struct Realised {
  double regret = 0.0;  ///< position by position, both sorted by exact score
  double recall = 1.0;
};

Realised realised(const PlainPool& plain, std::span<const float> query, const Ranking& answer,
                  const std::vector<kernels::Scored>& truth) {
  std::vector<kernels::Scored> held;
  for (const RankedItem& item : answer.items) held.push_back({plain.score(item.id, query), item.id});
  std::ranges::sort(held, kernels::ranks_before);
  Realised out;
  std::size_t hits = 0;
  for (const kernels::Scored& item : held)
    hits += std::ranges::binary_search(truth, item, kernels::ranks_before) ? 1 : 0;
  if (!truth.empty()) out.recall = static_cast<double>(hits) / static_cast<double>(truth.size());
  if (held.size() < truth.size()) out.regret = std::numeric_limits<double>::infinity();
  for (std::size_t j = 0; j < std::min(held.size(), truth.size()); ++j)
    out.regret = std::max(out.regret, truth[j].score - held[j].score);
  return out;
}

// Climbs the code levels of every query and compares what is promised with what is so.
Walk promises(const Scene& scene, Metric metric, std::size_t k, RankOptions options,
              const std::function<void(RankState&, Ranking&)>& breakage = {}) {
  const Pool pool = build(scene, metric);
  const PlainPool plain(scene.rows, scene.dims, metric);
  const RankTier tier(pool, options);
  Walk found;
  for (std::size_t q = 0; q < scene.query_count(); ++q) {
    const RankRequest request{.query = scene.query(q), .k = k};
    const auto truth = plain.top(request.query, k);
    RankState state(std::pmr::new_delete_resource());
    double last = std::numeric_limits<double>::infinity();
    for (Level level = options.first_level; level <= kernels::planes; ++level) {
      tier.materialise(request, state, level);
      Ranking answer = tier.execute(request, state, level);
      if (breakage) breakage(state, answer);
      const double regret = RankMargin().bound(request, state, answer, level, {}).value();
      const double missing = RankMargin(RankMetric::certified_recall).bound(request, state, answer, level, {}).value();
      const Realised is = realised(plain, request.query, answer, truth);
      const std::string where = text(scene.name, ", ", metric_name(metric), ", dims ", scene.dims, ", k ", k,
                                     ", query ", q, ", level ", level, ", rescore ", options.rescore, ": ");
      found.check(is.regret <= regret, where, "regret ", is.regret, " above its bound ", regret);
      found.check(answer.certified_recall <= is.recall, where, "recall ", is.recall, " below ",
                  answer.certified_recall);
      found.check(1.0 - is.recall <= missing, where, "missing ", 1.0 - is.recall, " above its bound ", missing);
      if (options.rescore)
        found.check(regret <= last, where, "bound ", regret, " above that of the level before, ", last);
      last = regret;
    }
  }
  return found;
}

TEST(RankMargin, BoundsTheRegretAndTheRecallOfEveryAnswer) {
  Walk found;
  for (const Metric metric : metrics) {
    std::vector<Scene> scenes = hard_scenes(300, 24, metric);
    for (const Family family : families) scenes.push_back(family_scene(family, 1000, 6, 40));
    for (const Scene& scene : scenes)
      for (const std::size_t k : {std::size_t{1}, std::size_t{10}, std::size_t{299}, scene.size() + 1})
        for (const bool rescore : {true, false})
          for (const std::size_t pilot : {std::size_t{0}, std::size_t{48}})
            for (const Level first : {Level{0}, Level{1}})
              found += promises(scene, metric, k, {.pilot = pilot, .rescore = rescore, .first_level = first});
  }
  RecordProperty("checks", std::to_string(found.checks));
  EXPECT_GT(found.checks, 50'000U);
  EXPECT_EQ(found.violations, 0U) << found.first;
}

TEST(RankMargin, TheTestAboveCatchesABoundShrunkToATenth) {
  const auto shrink = [](RankState& state, Ranking& answer) {
    state.highest_open = std::lerp(answer.items.back().lower, state.highest_open, 0.1);
  };
  for (const Metric metric : metrics) {
    const Scene scene = family_scene(Family::gaussian, 1000, 6, 40);
    EXPECT_GT(promises(scene, metric, 10, {.pilot = 0}, shrink).violations, 0U) << metric_name(metric);
  }
}
TEST(RankMargin, TheTestAboveCatchesARecallThatTakesEveryRowForCertain) {
  const Walk found = promises(family_scene(Family::gaussian, 1000, 6, 40), Metric::inner_product, 10, {.pilot = 0},
                              [](RankState&, Ranking& answer) { answer.certified_recall = 1.0; });
  EXPECT_GT(found.violations, 0U);
}

TEST(RankMargin, ReleasesNothingThatIsFurtherFromTheExactAnswerThanEpsilon) {
  std::array<std::size_t, kernels::planes + 1> released{};
  for (const Metric metric : metrics)
    for (const Family family : families) {
      const Scene scene = family_scene(family, 2000, 6, 48);
      const PlainPool plain(scene.rows, scene.dims, metric);
      const Pool pool = build(scene, metric);
      for (const bool rescore : {true, false}) {
        const Served regret(pool, {.rescore = rescore});
        const Served recall(pool, {.rescore = rescore}, RankMetric::certified_recall);
        for (std::size_t q = 0; q < scene.query_count(); ++q) {
          const RankRequest request{.query = scene.query(q), .k = 10};
          const auto truth = plain.top(request.query, 10);
          for (const double epsilon : {1e-9, 1e-3, 0.05, 0.2, 0.5, 0.9, 2.0, 10.0, 1e300}) {
            const auto close = regret.ranker.serve(request, {.epsilon = {epsilon}});
            EXPECT_LE(realised(plain, request.query, close.value(), truth).regret, epsilon);
            EXPECT_LE(close.bound.value(), epsilon);
            const auto complete = recall.ranker.serve(request, {.epsilon = {epsilon}});
            EXPECT_GE(realised(plain, request.query, complete.value(), truth).recall, 1.0 - epsilon);
            ++released[close.level];
          }
        }
      }
    }
  for (const std::size_t count : released) EXPECT_GT(count, 0U);  // all levels take part, or the test shows little
}

TEST(RankMargin, DoesNotCallAnAnswerCompleteThatLacksRows) {
  // The query is beyond float in units of the pool: rows whose integer product is 0 have no midpoint, and level 0 does
  // not rescore them although there is room.
  const Scene scene =
      changed(family_scene(Family::gaussian, 300, 4, 24), "tiny", [](std::size_t, auto row) { scale(row, 1e-40); });
  const Pool pool = build(scene, Metric::l2);
  const PlainPool plain(scene.rows, 24, Metric::l2);
  for (const RankMetric metric : {RankMetric::score_regret, RankMetric::certified_recall}) {
    const Served served(pool, {}, metric);
    for (std::size_t q = 0; q < scene.query_count(); ++q)
      EXPECT_TRUE(
          same(served.ranker.serve({.query = scene.query(q), .k = 301}).value(), plain.top(scene.query(q), 301)));
  }
}

TEST(RankMargin, DoesNotCallAnEmptyAnswerComplete) {
  // In the pool's unit of 2^-140 the query is infinite and its integers cancel over the row: 0 times infinity.
  const std::vector<float> row(8, 1e-40F), query{1e30F, -1e30F, 0.0F, 0.0F, 0.0F, 0.0F, 0.0F, 0.0F};
  const Pool pool = unrotated_pool(row, 8, Metric::l2, -140);
  const RankTier tier(pool);
  const RankRequest request{.query = query, .k = 1};
  RankState state(std::pmr::new_delete_resource());
  tier.materialise(request, state, 0);
  const Ranking signs = tier.execute(request, state, 0);
  EXPECT_TRUE(signs.items.empty());  // or this test shows nothing
  EXPECT_EQ(signs.certified_recall, 0.0);
  EXPECT_GE(RankMargin(RankMetric::certified_recall).bound(request, state, signs, 0, {}).value(), 1.0);
  EXPECT_EQ(RankMargin().bound(request, state, signs, 0, {}).value(), std::numeric_limits<double>::infinity());
  for (const RankMetric metric : {RankMetric::score_regret, RankMetric::certified_recall})
    EXPECT_EQ(Served(pool, {}, metric).ranker.serve(request).value().items.size(), 1U);
}

TEST(RankMargin, IsDeterministicWithoutDeltaAndSpendsNoMoreThanItGetsWithDelta) {
  for (const Family family : families) {
    const Scene scene = family_scene(family, 2000, 5, 64);
    const Pool pool = build(scene, Metric::inner_product);
    for (const bool rescore : {true, false})
      for (const Level first : {Level{0}, Level{2}}) {
        const Served served(pool, {.rescore = rescore, .first_level = first});
        for (std::size_t q = 0; q < scene.query_count(); ++q) {
          const RankRequest request{.query = scene.query(q), .k = 10};
          const auto certain = served.ranker.serve(request);
          EXPECT_EQ(certain.bound.kind(), BoundKind::deterministic);
          EXPECT_EQ(certain.bound.delta().value, 0.0);
          for (const double delta : {1e-300, 1e-6, 0.05, 0.999}) {
            const auto likely = served.ranker.serve(request, {.delta = {delta}});
            EXPECT_TRUE(likely.certified());
            EXPECT_EQ(likely.bound.kind(), BoundKind::randomized);
            EXPECT_GT(likely.bound.delta().value, 0.0);
            EXPECT_LE(likely.bound.delta().value, delta);
            const double looks = static_cast<double>(std::min(likely.level, kernels::planes - 1) - first + 1);
            EXPECT_NEAR(likely.bound.delta().value, looks * delta / 5, 1e-12 * delta);
          }
        }
      }
  }
}

TEST(RankMargin, CertifiesNothingWhenTheRequestSpendsMoreThanTheTargetAllows) {
  const Scene scene = family_scene(Family::gaussian, 500, 1, 32);
  const Pool pool = build(scene, Metric::inner_product);
  const RankTier tier(pool);
  const RankMargin margin;
  Ledger ledger(Footprint::unlimited());
  const RankController controller(tier, margin, ledger.root());
  const RankRequest request{.query = scene.query(0), .delta = {0.1}};
  EXPECT_FALSE(controller.serve(request, {.epsilon = {1e300}}).certified());
  EXPECT_FALSE(controller.serve(request, {.epsilon = {1e300}, .delta = {0.09}}).certified());
  EXPECT_TRUE(controller.serve(request, {.epsilon = {1e300}, .delta = {0.1}}).certified());
}

TEST(RankMargin, RefusesTargetsOutsideTheirDomain) {
  const Scene scene = family_scene(Family::gaussian, 50, 1, 8);
  const Pool pool = build(scene, Metric::inner_product);
  const Served served(pool);
  const RankRequest request{.query = scene.query(0)};
  const double nan = std::numeric_limits<double>::quiet_NaN();
  for (const double epsilon : {-1.0, -1e-300, nan})
    EXPECT_THROW((void)served.ranker.serve(request, {.epsilon = {epsilon}}), ValueError) << epsilon;
  for (const double delta : {-1e-9, 1.0, 2.0, nan})
    EXPECT_THROW((void)served.ranker.serve(request, {.delta = {delta}}), ValueError) << delta;
  EXPECT_TRUE(served.ranker.accounts().requests.committed().empty());
}

}  // namespace
}  // namespace mpp::ranking

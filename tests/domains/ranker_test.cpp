// With epsilon = 0 an answer is the brute-force one: same rows, same scores, same order.
#include <mpp/ranking/ranker.hpp>

#include <gtest/gtest.h>

#include "domains/ranking_scenes.hpp"
#include "domains/tampered_pool.hpp"
#include "reference/ranking_reference.hpp"

namespace mpp::ranking {
namespace {

using namespace mpp::test;
using reference::PlainPool;

constexpr std::size_t all_dims[] = {8, 17, 64, 100, 128, 384};

/// Answers that differ from brute force: the count, and the first one in words.
struct Mismatches {
  std::size_t answers = 0, count = 0;
  std::string first;

  void check(const std::string& what, const Outcome<Ranking>& outcome, const std::vector<kernels::Scored>& truth,
             bool of_codes) {
    ++answers;
    const bool equal = of_codes && !truth.empty() ? same_set(*outcome.raw, truth) : same(*outcome.raw, truth);
    if (outcome.certified() && outcome.bound.value() == 0.0 && equal) return;
    if (count++ == 0) first = what;
  }
};

// Every query of a scene with every k.
void check_scene(const Scene& scene, Metric metric, std::span<const std::size_t> ks, RankOptions options, Delta delta,
                 Mismatches& found) {
  const Pool pool = build(scene, metric);
  const PlainPool plain(scene.rows, scene.dims, metric);
  const Served served(pool, options);
  for (std::size_t q = 0; q < scene.query_count(); ++q) {
    const auto truth = plain.top(scene.query(q), scene.size());
    for (const std::size_t k : ks) {
      const auto outcome = served.ranker.serve({.query = scene.query(q), .k = k}, {.delta = delta});
      const auto top =
          std::vector(truth.begin(), truth.begin() + static_cast<std::ptrdiff_t>(std::min(k, truth.size())));
      found.check(text(scene.name, ", ", metric_name(metric), ", dims ", scene.dims, ", rows ", scene.size(),
                       ", query ", q, ", k ", k, ", level ", outcome.level),
                  outcome, top, !options.rescore && outcome.level < kernels::planes);
    }
  }
}

class ExactRanker : public testing::TestWithParam<std::size_t> {};
INSTANTIATE_TEST_SUITE_P(Dims, ExactRanker, testing::ValuesIn(all_dims));

TEST_P(ExactRanker, EqualsBruteForceForEveryFamilyMetricAndSize) {
  Mismatches found;
  for (std::size_t f = 0; f < 3; ++f)
    for (std::size_t m = 0; m < 3; ++m)
      for (const std::size_t n : {0, 1, 9, 63, 64, 65, 1000, 5000}) {
        if (n == 5000 && (f + m) % 3 != 0) continue;  // the largest pools: each family once, each metric once
        const std::size_t ks[] = {1, 10, std::max<std::size_t>(n, 1), n + 5};
        check_scene(family_scene(families[f], n, 2, GetParam()), metrics[m], ks, {}, {}, found);
      }
  RecordProperty("answers", std::to_string(found.answers));
  EXPECT_EQ(found.count, 0U) << "of " << found.answers << ", first: " << found.first;
}

TEST(HardRanker, EqualsBruteForceForTiesExtremeNormsAndRowsOnTheCentre) {
  Mismatches found;
  for (const Metric metric : metrics)
    for (const std::size_t dims : {8, 17, 100})
      for (const Scene& scene : hard_scenes(300, dims, metric)) {
        const std::size_t ks[] = {1, 10, 300};
        for (const bool rescore : {true, false}) check_scene(scene, metric, ks, {.rescore = rescore}, {}, found);
      }
  RecordProperty("answers", std::to_string(found.answers));
  EXPECT_EQ(found.count, 0U) << "of " << found.answers << ", first: " << found.first;
}

TEST(HardRanker, EqualsBruteForceWhereverTheLadderStartsAndHoweverSmallThePilot) {
  Mismatches found;
  const std::size_t ks[] = {1, 10};
  for (const Metric metric : metrics) {
    std::vector<Scene> scenes = hard_scenes(200, 24, metric);
    scenes.push_back(family_scene(Family::clustered, 2000, 5, 24));
    for (const Scene& scene : scenes)
      for (const Level first : {Level{0}, Level{1}, Level{2}})
        for (const std::size_t pilot : {std::size_t{0}, std::size_t{1}, std::size_t{48}, std::size_t{100000}})
          check_scene(scene, metric, ks, {.pilot = pilot, .rescore = pilot != 1, .first_level = first}, {}, found);
  }
  EXPECT_EQ(found.count, 0U) << "of " << found.answers << ", first: " << found.first;
}

TEST(Ranker, AnswersThatAreRandomizedEqualTheExactOnesOnTheSample) {
  Mismatches found;
  const std::size_t ks[] = {1, 10, 100};
  for (const Metric metric : metrics)
    for (const Family family : families)
      for (const bool rescore : {true, false})
        check_scene(family_scene(family, 2000, 8, 64), metric, ks, {.rescore = rescore}, Delta{1e-6}, found);
  EXPECT_EQ(found.count, 0U) << "of " << found.answers << ", first: " << found.first;
}

TEST(Ranker, EqualsBruteForceAfterRowsWereRemovedAndAdded) {
  for (const Metric metric : metrics) {
    const Scene scene = family_scene(Family::clustered, 1000, 4, 40);
    const auto kept = std::span(scene.rows).first(700 * 40);
    Pool pool = Pool::build(kept, 40, {.metric = metric});
    PlainPool plain(kept, 40, metric);
    std::uint64_t next = 700, round = 0;
    for (const std::size_t count :
         {std::size_t{1}, std::size_t{0}, std::size_t{62}, std::size_t{1}, std::size_t{1}, std::size_t{235}}) {
      const auto rows = std::span(scene.rows).subspan(next * 40, count * 40);
      EXPECT_EQ(pool.add(rows), next);
      plain.add(rows);
      next += count;
      for (std::uint64_t id = 0; id + round < next; id += 211) {
        pool.remove(id + round);
        plain.remove(id + round);
      }
      ++round;
      const Served served(pool);
      for (std::size_t q = 0; q < 4; ++q)
        for (const std::size_t k : {std::size_t{1}, std::size_t{10}, pool.size(), pool.size() + 5})
          EXPECT_TRUE(
              same(served.ranker.serve({.query = scene.query(q), .k = k}).value(), plain.top(scene.query(q), k)))
              << metric_name(metric) << ", rows " << pool.size() << ", k " << k;
    }
    EXPECT_EQ(pool.size(), plain.size());
  }
}

TEST(Ranker, DecidesTiesByIdWhereverRowsLie) {
  // Cells and rows that came later put ids into any order of slots: here it is turned round.
  constexpr std::size_t n = 200;
  const auto turned = [](const Scene& scene) {
    return changed(scene, scene.name + ", turned",
                   [&](std::size_t i, auto row) { std::ranges::copy(scene.row(scene.size() - 1 - i), row.begin()); });
  };
  for (const Metric metric : metrics)
    for (const Scene& scene : hard_scenes(n, 12, metric)) {
      const Pool pool = tampered(build(scene, metric), [](PoolColumns& c) {
        for (std::size_t i = 0; i < n; ++i) c.ids.values()[i] = static_cast<std::uint32_t>(n - 1) - c.ids[i];
      });
      const PlainPool plain(turned(scene).rows, 12, metric);
      for (const RankOptions options :
           {RankOptions{.pilot = 3}, RankOptions{.pilot = 100}, RankOptions{.first_level = 2}}) {
        const Served served(pool, options);
        for (std::size_t q = 0; q < scene.query_count(); ++q)
          for (const std::size_t k : {std::size_t{1}, std::size_t{5}, std::size_t{50}})
            EXPECT_TRUE(
                same(served.ranker.serve({.query = scene.query(q), .k = k}).value(), plain.top(scene.query(q), k)))
                << scene.name << ", " << metric_name(metric) << ", query " << q << ", k " << k;
      }
    }
}

TEST(Ranker, ServesABatchAsOneByOne) {
  for (const Metric metric : metrics) {
    const Scene scene = family_scene(Family::power_law, 1500, 9, 48);
    const Pool pool = build(scene, metric);
    for (const RankOptions options : {RankOptions{}, RankOptions{.rescore = false}, RankOptions{.first_level = 1}})
      for (const QualityTarget target : {QualityTarget{}, QualityTarget{.epsilon = {0.3}, .delta = {1e-6}}}) {
        const Served served(pool, options);
        std::vector<RankRequest> requests;
        for (std::size_t q = 0; q < scene.query_count(); ++q)
          requests.push_back({.query = scene.query(q), .k = 1 + 7 * q});
        const auto together = served.ranker.serve(requests, target);
        for (std::size_t q = 0; q < requests.size(); ++q) {
          const auto alone = served.ranker.serve(requests[q], target);
          EXPECT_EQ(together[q].value().items, alone.value().items);
          EXPECT_EQ(together[q].level, alone.level);
          EXPECT_EQ(together[q].bound.value(), alone.bound.value());
          EXPECT_EQ(together[q].bound.delta().value, alone.bound.delta().value);
          EXPECT_EQ(together[q].peak, alone.peak);
        }
      }
  }
}

TEST(Ranker, ProposesAFirstLevelThatAnswersExactly) {
  for (const Family family : families) {
    const Scene scene = family_scene(family, 1000, 2, 64);
    const Pool pool = build(scene, Metric::cosine);
    const Level first = pilot_first_level(pool);
    EXPECT_LE(first, 2U);
    Mismatches found;
    const std::size_t ks[] = {10};
    check_scene(scene, Metric::cosine, ks, {.first_level = first}, {}, found);
    EXPECT_EQ(found.count, 0U) << found.first;
  }
  EXPECT_LE(pilot_first_level(Pool::build({}, 5)), 2U);
}

}  // namespace
}  // namespace mpp::ranking

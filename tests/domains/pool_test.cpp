#include <mpp/ranking/pool.hpp>

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <set>
#include <string>

#include "domains/interval_walk.hpp"
#include "domains/ranking_scenes.hpp"
#include "reference/ranking_reference.hpp"

namespace mpp::ranking {
namespace {

using namespace mpp::test;
using reference::PlainPool;

constexpr float nan = std::numeric_limits<float>::quiet_NaN();
constexpr float infinity = std::numeric_limits<float>::infinity();

// What the call throws, which must be an Error; empty if it throws nothing.
template <class Error, class Call>
std::string sentence(const Call& call) {
  try {
    call();
  } catch (const Error& error) {
    return error.what();
  }
  return {};
}

std::vector<float> rows_of(std::size_t n, std::size_t dims) { return family_scene(Family::gaussian, n, 0, dims).rows; }

bool answers_exactly(const Pool& pool, const PlainPool& plain, std::span<const float> query) {
  const Served served(pool);
  return same(served.ranker.serve({.query = query, .k = 12}).value(), plain.top(query, 12));
}

TEST(Pool, NamesTheRowThatIsNotFinite) {
  for (const float bad : {nan, infinity, -infinity})
    for (const std::size_t row : {0, 7, 99}) {
      std::vector<float> rows = rows_of(100, 5);
      rows[row * 5 + 3] = bad;
      const std::string said = sentence<ValueError>([&] { (void)Pool::build(rows, 5); });
      EXPECT_NE(said.find("row " + std::to_string(row) + " "), std::string::npos) << said;
      Pool pool = Pool::build(rows_of(3, 5), 5);
      const std::string added = sentence<ValueError>([&] { pool.add(rows); });
      EXPECT_NE(added.find("row " + std::to_string(row) + " "), std::string::npos) << added;
      EXPECT_EQ(pool.size(), 3U);
    }
}

TEST(Pool, NamesTheRowThatHasNoCosine) {
  std::vector<float> rows = rows_of(20, 4);
  std::fill_n(rows.begin() + 11 * 4, 4, 0.0F);
  const std::string said = sentence<ValueError>([&] { (void)Pool::build(rows, 4, {.metric = Metric::cosine}); });
  EXPECT_NE(said.find("row 11 "), std::string::npos) << said;
  Pool pool = Pool::build(rows_of(3, 4), 4, {.metric = Metric::cosine});
  EXPECT_NE(sentence<ValueError>([&] { pool.add(rows); }).find("row 11 "), std::string::npos);
}

TEST(Pool, RefusesShapesAndOptionsOutsideTheirDomain) {
  const std::vector<float> rows = rows_of(10, 6);
  for (const std::size_t dims : {std::size_t{0}, std::size_t{7}, std::size_t{32769}, ~std::size_t{0}})
    EXPECT_NE(sentence<ShapeError>([&] { (void)Pool::build(rows, dims); }), "") << dims;
  for (const std::size_t cells : {std::size_t{0}, std::size_t{11}})
    EXPECT_NE(sentence<ValueError>([&] { (void)Pool::build(rows, 6, {.cells = cells}); }), "") << cells;
  for (const float clip : {0.0F, -0.5F, 1.0001F, nan, infinity})
    EXPECT_NE(sentence<ValueError>([&] { (void)Pool::build(rows, 6, {.clip = clip}); }), "") << clip;
  Pool pool = Pool::build(rows, 6);
  EXPECT_NE(sentence<ShapeError>([&] { pool.add(std::span(rows).first(7)); }), "");
  EXPECT_EQ(pool.size(), 10U);
}

TEST(Pool, AnswersExactlyForEveryClipAndSeed) {
  const Scene scene = family_scene(Family::clustered, 400, 4, 12);
  for (const Metric metric : metrics)
    for (const float clip : {1e-30F, 0.01F, 0.5F, 1.0F})
      for (const std::uint64_t seed : {std::uint64_t{0}, ~std::uint64_t{0}}) {
        const Pool pool = Pool::build(scene.rows, 12, {.metric = metric, .seed = seed, .clip = clip});
        const PlainPool plain(scene.rows, 12, metric);
        for (std::size_t q = 0; q < 4; ++q) EXPECT_TRUE(answers_exactly(pool, plain, scene.query(q))) << clip;
      }
}

TEST(Pool, AnswersExactlyAroundManyCentres) {
  const Scene scene = family_scene(Family::clustered, 700, 4, 12);
  for (const Metric metric : metrics) try {
      Pool pool = Pool::build(scene.rows, 12, {.metric = metric, .cells = 9});
      PlainPool plain(scene.rows, 12, metric);
      pool.add(scene.queries);  // around the first centre
      plain.add(scene.queries);
      for (std::size_t q = 0; q < 4; ++q) {
        EXPECT_TRUE(answers_exactly(pool, plain, scene.query(q)));
        const Walk found = walk(pool, {.query = scene.query(q), .k = pool.size()}, {.rescore = false});
        EXPECT_EQ(found.violations, 0U) << found.first;
      }
    } catch (const BackendUnavailable& error) {
      GTEST_SKIP() << error.what();
    }
}

TEST(Pool, CountsIdsUpAndDoesNotReuseThem) {
  Pool pool = Pool::build(rows_of(5, 3), 3);
  EXPECT_EQ(pool.add(rows_of(2, 3)), 5U);
  pool.remove(6);
  EXPECT_EQ(pool.add(rows_of(1, 3)), 7U);
  EXPECT_EQ(pool.add({}), 8U);
  EXPECT_EQ(pool.size(), 7U);
  const std::vector<float> query{1.0F, 1.0F, 1.0F};
  const Served served(pool);
  std::set<std::uint64_t> ids;
  const auto outcome = served.ranker.serve({.query = query, .k = 10});
  for (const RankedItem& item : outcome.value().items) ids.insert(item.id);
  EXPECT_EQ(ids, (std::set<std::uint64_t>{0, 1, 2, 3, 4, 5, 7}));
}

TEST(Pool, NamesTheIdItCannotRemove) {
  Pool pool = Pool::build(rows_of(5, 3), 3);
  pool.remove(2);
  for (const std::uint64_t id :
       {std::uint64_t{2}, std::uint64_t{5}, std::uint64_t{63}, std::uint64_t{1} << 32, ~std::uint64_t{0}})
    EXPECT_NE(sentence<ValueError>([&] { pool.remove(id); }).find(std::to_string(id)), std::string::npos) << id;
  EXPECT_EQ(pool.size(), 4U);
}

TEST(Pool, ServesNoRowsWithAnEmptyAnswer) {
  Pool emptied = Pool::build(rows_of(3, 4), 4);
  for (const std::uint64_t id : {0, 1, 2}) emptied.remove(id);
  const Pool empty = Pool::build({}, 4);
  const std::vector<float> query(4, 1.0F);
  for (const Pool* pool : {&empty, static_cast<const Pool*>(&emptied)})
    for (const bool rescore : {true, false})
      for (const RankMetric metric : {RankMetric::score_regret, RankMetric::certified_recall}) {
        const Served served(*pool, {.rescore = rescore}, metric);
        const auto outcome = served.ranker.serve({.query = query, .k = 3});
        EXPECT_TRUE(outcome.value().items.empty());
        EXPECT_EQ(outcome.level, 0U);
      }
}

TEST(Pool, TakesRowsThatAreFarLargerThanThoseItWasBuiltFrom) {
  // They overflow float in the unit of the build: never excluded, and the answer stays exact.
  for (const Metric metric : metrics) {
    const Scene scene = family_scene(Family::gaussian, 100, 3, 16);
    const Scene tiny = changed(scene, "tiny", [](std::size_t, auto row) { scale(row, 1e-30); });
    const Scene huge = changed(scene, "huge", [](std::size_t, auto row) { scale(row, 3e37); });
    Pool pool = build(tiny, metric);
    PlainPool plain(tiny.rows, 16, metric);
    EXPECT_EQ(pool.add(huge.rows), 100U);
    plain.add(huge.rows);
    for (std::size_t q = 0; q < 3; ++q) EXPECT_TRUE(answers_exactly(pool, plain, scene.query(q)));
  }
}

TEST(Pool, ReportsItsBytesAndItsProgress) {
  std::size_t last = 0, calls = 0;
  PoolOptions options{.metric = Metric::l2};
  options.progress = [&](std::size_t done, std::size_t total) {
    EXPECT_GT(done, last);
    EXPECT_EQ(total, 5000U);
    last = done;
    ++calls;
  };
  const Pool pool = Pool::build(rows_of(5000, 8), 8, options);
  EXPECT_EQ(last, 5000U);
  EXPECT_GT(calls, 1U);
  const std::uint64_t slots = 79 * 64;
  // Signs, two Half, a bias; a word of live bits, a cell and two tops per block; 8 9 / 2 floats of rotation and one
  // centre.
  EXPECT_EQ(pool.resident(), Footprint::host(Bytes{slots * (1 + 4 + 4) + 79 * (8 + 4 + 8) + 36 * 4 + 8 * 4}));
  // An id, codes of 1, 2 and 4 bits, three Half each, the row.
  EXPECT_EQ(pool.backing(), Footprint::host(Bytes{slots * (4 + 1 + 2 + 4 + 18 + 32)}));
}

TEST(RankRequest, NamesWhatIsWrongWithIt) {
  const Pool pool = Pool::build(rows_of(50, 4), 4, {.metric = Metric::cosine});
  const Served served(pool);
  const std::vector<float> good(4, 1.0F), zero(4, 0.0F), longer(5, 1.0F);
  std::vector<float> bad = good;
  bad[2] = nan;
  const auto said = [&]<class Error>(const RankRequest& request, Error*) {
    const std::string one = sentence<Error>([&] { (void)served.ranker.serve(request); });
    const std::string batch = sentence<Error>([&] {
      (void)served.ranker.serve({RankRequest{.query = good}, request});
    });
    EXPECT_EQ(one, batch);
    EXPECT_TRUE(served.ranker.accounts().requests.committed().empty());
    return one;
  };
  ValueError* value = nullptr;
  ShapeError* shape = nullptr;
  EXPECT_NE(said({.query = good, .k = 0}, value).find("k is 0"), std::string::npos);
  EXPECT_NE(said({.query = bad}, value).find("query[2]"), std::string::npos);
  EXPECT_NE(said({.query = zero}, value).find("length 0"), std::string::npos);
  EXPECT_NE(said({.query = longer}, shape).find("5 values"), std::string::npos);
  EXPECT_NE(said({}, shape).find("0 values"), std::string::npos);
  for (const Level first : {Level{3}, Level{4}, ~Level{0}})
    EXPECT_THROW(RankTier(pool, {.first_level = first}), ValueError);
}

}  // namespace
}  // namespace mpp::ranking

// Broken twins of everything that score intervals rest on: the walk that finds no fault with ours catches each of them.
#include <gtest/gtest.h>

#include <limits>

#include "domains/interval_walk.hpp"
#include "domains/ranking_scenes.hpp"
#include "domains/tampered_pool.hpp"
#include "reference/quad.hpp"

namespace mpp::ranking {
namespace {

using namespace mpp::test;

constexpr std::size_t dims = 8;

// Sum of magnitudes 125 in each group of 4, which the coarse grid holds without rounding; orthogonal to all ones.
const std::vector<float> on_the_grid{31, -31, 32, -31, -31, 31, -32, 31};

Walk intervals(const Pool& pool, std::span<const float> query, const FrameBreakage& breakage = {}) {
  return walk(pool, {.query = query, .k = 1}, {.rescore = false}, breakage);
}

// A row whose code is all ones and whose residual is the query itself: its score is its upper limit, up to rounding.
class Residual : public testing::Test {
 protected:
  static Pool pool() {
    std::vector<float> row(on_the_grid);
    for (float& x : row) x += 64.0F;
    return unrotated_pool(row, dims, Metric::inner_product);
  }
  const double residual = std::sqrt(7814.0);  // 6 * 31^2 + 2 * 32^2
};

TEST_F(Residual, IsRoundedUpSoThatTheScoreStaysInside) {
  const Walk found = intervals(pool(), on_the_grid);
  EXPECT_GE(found.checks, 4U);
  EXPECT_EQ(found.violations, 0U) << found.first;
  EXPECT_GE(kernels::to_float(pool().columns().block_plane[0].residual[0]), residual);
}
TEST_F(Residual, RoundedDownIsCaught) {
  const Pool down = tampered(pool(), [](PoolColumns& c) {
    kernels::Half& r = c.block_plane[0].residual.values()[0];
    r = below(r);
  });
  EXPECT_GT(intervals(down, on_the_grid).violations, 0U);
}
TEST_F(Residual, RoundedToNearestIsCaught) {
  const Pool nearest = tampered(
      pool(), [&](PoolColumns& c) { c.block_plane[0].residual.values()[0] = kernels::nearest_half(residual); });
  EXPECT_GT(intervals(nearest, on_the_grid).violations, 0U);
}
TEST_F(Residual, ForgottenClosesRowsOfTheAnswer) {
  const Scene scene = family_scene(Family::gaussian, 500, 12, 32);
  const Pool honest = build(scene, Metric::inner_product);
  const Pool forgotten = tampered(honest, [](PoolColumns& c) {
    for (BlockPlane& plane : c.block_plane)
      for (kernels::Half& r : plane.residual.values()) r = {};
    for (RowPlane& plane : c.row_plane)
      for (kernels::PlaneFactors& f : plane.factors.values()) f.residual = {};
  });
  const auto closed = [&](const Pool& pool, Level first) {
    Walk found;
    for (std::size_t q = 0; q < 12; ++q)
      found += walk(pool, {.query = scene.query(q), .k = 10}, {.pilot = 10, .first_level = first});
    return found;
  };
  for (const Level first : {Level{0}, Level{1}, Level{2}}) {
    EXPECT_EQ(closed(honest, first).violations, 0U);
    EXPECT_GT(closed(forgotten, first).lost, 0U) << first;
  }
}

// Rows whose code is all ones and whose residual is nearly the query, around a centre so far away that their differences
// to it do not fit a float. t is 0: an interval is the residual, rounded up by at most 2^-24, and the slack.
class OffCentre : public testing::Test {
 protected:
  static constexpr float center = -3.0F;
  static Pool pool(std::span<const float> rows) { return unrotated_pool(rows, dims, Metric::inner_product, 0, center); }
  static std::vector<float> row(int i) {
    std::vector<float> x(on_the_grid);
    for (float& value : x) value = 1.0F + value * static_cast<float>(100 + i) * 0x1p-28F;
    return x;
  }
  // Violations over 200 such rows, each in a pool of its own.
  template <class Change>
  static std::uint64_t violations(const Change& change, const FrameBreakage& breakage = {}) {
    std::uint64_t count = 0;
    for (int i = 0; i < 200; ++i) count += intervals(tampered(pool(row(i)), change), on_the_grid, breakage).violations;
    return count;
  }
  static void unchanged(PoolColumns&) {}
};

TEST_F(OffCentre, TheRoundingOfCodedRowsToFloatIsCoveredByTheSlack) {
  EXPECT_EQ(violations(unchanged), 0U);
  const FrameBreakage doubles_only = [](QueryFrame& f) { f.coarse.slack = f.fine.slack = 0x1p-40F; };
  EXPECT_GT(violations(unchanged, doubles_only), 0U);
}
TEST_F(OffCentre, ANormOfRowsThatIsUnderstatedIsCaught) {
  EXPECT_GT(violations([](PoolColumns& c) { c.largest_centered /= 1000; }), 0U);
}
TEST_F(OffCentre, ARowThatIsAddedRaisesTheNormOfRows) {
  for (int i = 0; i < 200; ++i) {
    Pool both = pool(std::vector<float>(dims, center + 0x1p-10F));
    both.add(row(i));
    EXPECT_EQ(intervals(both, on_the_grid).violations, 0U) << i;
  }
}
TEST_F(OffCentre, AFrameWithoutSlackIsCaught) {
  EXPECT_GT(violations(unchanged, [](QueryFrame& f) { f.coarse.slack = f.fine.slack = 0.0F; }), 0U);
}

// One row along the query, coded without a residual: what is left of its interval is what the twins leave out.
class Aligned : public testing::Test {
 protected:
  static Pool pool(float value, Metric metric = Metric::inner_product) {
    return unrotated_pool(std::vector<float>(dims, value), dims, metric);
  }
  const std::vector<float> ones = std::vector<float>(dims, 1.0F);
};

TEST_F(Aligned, AFrameWithoutSlackIsCaught) {
  const FrameBreakage none = [](QueryFrame& f) { f.coarse.slack = f.fine.slack = 0.0F; };
  EXPECT_EQ(intervals(pool(0.0F), ones).violations, 0U);
  EXPECT_GT(intervals(pool(0.0F), ones, none).violations, 0U);  // nothing is left that is strictly around 0
}
TEST_F(Aligned, AFrameThatIgnoresTheQuerysRoundingIsCaught) {
  EXPECT_EQ(intervals(pool(1.0F), ones).violations, 0U);
  EXPECT_GT(intervals(pool(1.0F), ones, [](QueryFrame& f) { f.coarse.e1 = f.coarse.e2 = 0.0F; }).violations, 0U);
}
TEST_F(Aligned, AFrameThatIgnoresTheRoundingOfTheScaleIsCaught) {
  std::vector<float> query(dims, 0.0F);
  query[0] = query[4] = 125.0F;            // a group of its own each: on the grid
  const Pool row = pool(1.0F + 0x1p-12F);  // Half holds 1
  EXPECT_EQ(intervals(row, query).violations, 0U);
  EXPECT_GT(intervals(row, query, [](QueryFrame& f) { f.coarse.relative = 0.0F; }).violations, 0U);
}
TEST_F(Aligned, AScaleBelowTheNormalHalvesIsNotTrusted) {
  std::vector<float> query(dims, 0.0F);
  query[0] = query[4] = 125.0F;
  const Pool row = pool(1.4F * 0x1p-24F);  // the nearest Half is 2^-24
  EXPECT_EQ(intervals(row, query).violations, 0U);
  const Pool twin = tampered(row, [](PoolColumns& c) {
    c.block_plane[0].scale.values()[0] = kernels::nearest_half(0x1p-24);
    c.block_plane[0].residual.values()[0] = {};
  });
  EXPECT_GT(intervals(twin, query).violations, 0U);
}
TEST_F(Aligned, TheRoundingOfDoubleSumsIsCoveredByTheSlack) {
  // q . c is 1 or 2, depending on the order of summation.
  const std::vector<float> row{1e30F, 1.0F, -1e30F, 1.0F, 0.0F, 0.0F, 0.0F, 0.0F};
  const Pool one = Pool::build(row, dims);
  EXPECT_EQ(intervals(one, ones).violations, 0U);
  const FrameBreakage floats_only = [](QueryFrame& f) {
    f.coarse.slack = f.fine.slack = 0x1p-20F * std::abs(f.block_offset[0]) + 0x1p-126F;
  };
  EXPECT_GT(intervals(one, ones, floats_only).violations, 0U);
}
TEST_F(Aligned, TheRoundingOfABiasIsCoveredByTheSlack) {
  const Pool row = pool(1.0F + 0x1p-13F, Metric::l2);  // its square does not fit a float
  const std::vector<float> zero(dims, 0.0F);
  EXPECT_EQ(intervals(row, zero).violations, 0U);
  const FrameBreakage strict_only = [](QueryFrame& f) { f.coarse.slack = f.fine.slack = 0x1p-126F; };
  EXPECT_GT(intervals(row, zero, strict_only).violations, 0U);
  EXPECT_THROW((void)tampered(row, [](PoolColumns& c) { c.largest_bias = 0.0; }), FormatError);
}
TEST_F(Aligned, AnOffsetOfACentreThatIsNotWhatRowsWereCodedAroundIsCaught) {
  const FrameBreakage moved = [](QueryFrame& f) {
    for (float& offset : f.block_offset) offset += 0.01F;
  };
  EXPECT_GT(intervals(pool(1.0F), on_the_grid, moved).violations, 0U);
}

TEST(FrameThreshold, IsStrictlyBelowTheScoreAndNotFarBelow) {
  const Scene scene = family_scene(Family::gaussian, 100, 1, dims);
  for (const Metric metric : metrics)
    for (const double factor : {1e-40, 1e-3, 1.0, 1e30}) {
      const Pool pool = build(changed(scene, "scaled", [&](std::size_t, auto row) { scale(row, factor); }), metric);
      QueryFrame frame(std::pmr::new_delete_resource());
      make_frame(pool, scene.query(0), {}, frame);
      for (int i = -500; i <= 500; ++i) {
        const double score = std::ldexp(1.0 + i * 1e-9, frame.exponent) * (i % 2 == 0 ? 1 : -1);
        const float threshold = threshold_in_frame(frame, score);
        EXPECT_LT(score_of_frame(frame, threshold), score);
        EXPECT_GT(score_of_frame(frame, threshold), score - std::abs(score) * 0x1p-22);
      }
    }
}

}  // namespace
}  // namespace mpp::ranking

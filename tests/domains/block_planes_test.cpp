// Planes 0 and 1 lie in blocks of 64 rows. What they say must not depend on it.
#include <gtest/gtest.h>

#include <mpp/kernels/quantize_nested.hpp>

#include "domains/ranking_scenes.hpp"
#include "domains/tampered_pool.hpp"
#include "reference/ranking_reference.hpp"
#include "reference/sign_code.hpp"
#include "support/temporary_folder.hpp"

namespace mpp::ranking {
namespace {

using namespace mpp::test;

/// The code of rows, in layout "rows", as quantize_nested() makes it.
struct PlainCode {
  std::array<std::vector<std::uint8_t>, kernels::planes> codes;
  std::array<std::vector<kernels::PlaneFactors>, kernels::planes> factors;

  PlainCode(std::span<const float> rows, std::size_t dims, int unit_exponent) {
    kernels::NestedCode out;
    for (std::size_t p = 0; p < kernels::planes; ++p) {
      codes[p].resize(rows.size() / dims * kernels::plane_row_bytes(p, dims));
      factors[p].resize(rows.size() / dims);
      out.codes[p] = codes[p];
      out.factors[p] = factors[p];
    }
    kernels::quantize_nested({}, rows, dims, unit_exponent, PoolOptions{}.clip, out);
  }
};

// Layout "blocks" back to layout "rows".
std::vector<std::uint8_t> unpacked(std::span<const std::uint8_t> blocks, std::size_t dims, std::size_t n) {
  std::vector<std::uint8_t> rows;
  for (std::size_t i = 0; i < n; ++i)
    for (std::size_t g = 0; g < dims / 8; ++g) rows.push_back(blocks[(i / 64 * (dims / 8) + g) * 64 + i % 64]);
  return rows;
}

TEST(BlockPlanes, HoldTheCodeOfQuantizeNestedAndNestWithThePlanesOfRows) {
  for (const std::size_t dims : {8, 24, 128})
    for (const std::size_t n : {1, 64, 130}) {
      const Scene scene = family_scene(Family::gaussian, n, 1, dims);
      const PoolColumns c = unrotated_pool(scene.rows, dims, Metric::inner_product, -10).columns();
      const PlainCode plain(scene.rows, dims, -10);
      std::array<std::span<const std::uint8_t>, kernels::planes> codes;
      std::array<std::vector<std::uint8_t>, block_planes> signs;
      for (std::size_t p = 0; p < block_planes; ++p)
        codes[p] = signs[p] = unpacked(c.block_plane[p].signs.view(), dims, n);
      for (std::size_t p = block_planes; p < kernels::planes; ++p)
        codes[p] = c.row_plane[p - block_planes].codes.view();
      for (std::size_t i = 0; i < n; ++i)
        for (std::size_t p = 0; p < kernels::planes; ++p)
          ASSERT_EQ(reference::code_values(codes, i, p, dims), reference::code_values(plain.codes, i, p, dims))
              << "row " << i << ", plane " << p;
    }
}

TEST(BlockPlanes, HoldTheFactorsOfQuantizeNestedInColumns) {
  constexpr std::size_t dims = 24, n = 130;
  const Scene scene = family_scene(Family::gaussian, n, 1, dims);
  const PoolColumns c = unrotated_pool(scene.rows, dims, Metric::inner_product, -10).columns();
  const PlainCode plain(scene.rows, dims, -10);
  for (std::size_t i = 0; i < n; ++i) {
    for (std::size_t p = 0; p < block_planes; ++p) {
      EXPECT_EQ(c.block_plane[p].scale[i].bits, plain.factors[p][i].scale.bits);
      EXPECT_EQ(c.block_plane[p].residual[i].bits, plain.factors[p][i].residual.bits);
    }
    EXPECT_EQ(c.block_plane[1].norm[i].bits, plain.factors[1][i].norm.bits);
  }
  EXPECT_EQ(c.block_plane[0].norm.size(), 0U);
}

// Blocks whose tops are not the largest factors of their slots.
std::size_t wrong_tops(const PoolColumns& c) {
  const auto wrong = [&](std::span<const float> tops, std::span<const kernels::Half> factor) {
    std::size_t count = tops.size() == c.blocks() ? 0 : 1;
    for (std::size_t b = 0; b < tops.size(); ++b) {
      float top = 0.0F;
      for (std::size_t i = b * 64; i < (b + 1) * 64; ++i) top = std::max(top, kernels::to_float(factor[i]));
      count += tops[b] == top ? 0 : 1;
    }
    return count;
  };
  const BlockPlane& plane = c.block_plane[0];
  return wrong(plane.top_scale.view(), plane.scale.view()) + wrong(plane.top_residual.view(), plane.residual.view());
}

TEST(TopScale, IsTheLargestOfItsBlockHoweverRowsCame) {
  Scene scene = family_scene(Family::gaussian, 1000, 1, 24);
  for (std::size_t i = 0; i < scene.size(); ++i)
    scale(std::span(scene.rows).subspan(i * 24, 24), 1.0 + static_cast<double>(i));  // each batch is larger
  Pool pool = Pool::build(std::span(scene.rows).first(300 * 24), 24);
  EXPECT_EQ(wrong_tops(pool.columns()), 0U);
  std::size_t next = 300;
  for (const std::size_t count : {1, 5, 58, 64, 200}) {
    pool.add(std::span(scene.rows).subspan(next * 24, count * 24));
    next += count;
    EXPECT_EQ(wrong_tops(pool.columns()), 0U) << next << " rows";
    pool.remove(next - 1);
    EXPECT_EQ(wrong_tops(pool.columns()), 0U) << next << " rows";
  }
}

TEST(TopScale, IsFoundAnewWhateverTheColumnsSay) {
  const Pool pool = build(family_scene(Family::gaussian, 300, 1, 24), Metric::l2);
  for (const std::size_t blocks : {0, 2, 5, 9}) {
    const Pool other = tampered(pool, [&](PoolColumns& c) {
      c.block_plane[0].top_scale.values().assign(blocks, 1e-9F);
      c.block_plane[0].top_residual.values().assign(blocks, 1e-9F);
    });
    EXPECT_EQ(wrong_tops(other.columns()), 0U);
  }
}

// Everything that a walk over the levels answers, level by level.
std::vector<Ranking> answers(const Pool& pool, std::span<const float> query, RankOptions options) {
  const RankTier tier(pool, options);
  const RankRequest request{.query = query, .k = 10};
  RankState state(std::pmr::new_delete_resource());
  std::vector<Ranking> all;
  for (Level level = options.first_level; level < tier.levels(); ++level) {
    tier.materialise(request, state, level);
    all.push_back(tier.execute(request, state, level));
  }
  return all;
}

bool identical(const std::vector<Ranking>& a, const std::vector<Ranking>& b) {
  return std::ranges::equal(a, b, [](const Ranking& x, const Ranking& y) {
    return x.items == y.items && x.certified_recall == y.certified_recall && x.open_rows == y.open_rows;
  });
}

// Levels 0 and 1 by themselves: later ones would make up for what a pilot misses.
TEST(TopScale, LosesNoRowToSlotsWithoutOne) {
  const Scene scene = family_scene(Family::clustered, 2000, 6, 24);
  Pool pool = build(scene, Metric::inner_product);
  for (std::uint64_t id = 0; id < 2000; id += 20) pool.remove(id);
  for (const int bits : {0xFFFF, 0xFC00, 0xBC00, 0x8000, 0x7C00, 0x7E00}) {
    const Pool odd = tampered(pool, [&](PoolColumns& c) {
      for (std::size_t slot = 0; slot < c.slots(); ++slot)
        if ((c.live[slot / 64] >> slot % 64 & 1) == 0)
          c.block_plane[0].scale.values()[slot] = {static_cast<std::uint16_t>(bits)};
    });
    for (std::size_t q = 0; q < scene.query_count(); ++q)
      for (const bool rescore : {true, false})
        EXPECT_TRUE(identical(answers(odd, scene.query(q), {.rescore = rescore}),
                              answers(pool, scene.query(q), {.rescore = rescore})))
            << bits;
  }
}

TEST(BlockPlanes, AnswerBitForBitFromAFileAsFromTheBuild) {
  const TemporaryFolder folder;
  for (const Metric metric : metrics) {
    const Scene scene = family_scene(Family::clustered, 900, 4, 40);
    Pool pool = Pool::build(std::span(scene.rows).first(800 * 40), 40, {.metric = metric});
    pool.remove(17);
    pool.add(std::span(scene.rows).subspan(800 * 40));
    pool.save(folder / "pool.mpp");
    const Pool loaded = Pool::load(folder / "pool.mpp"), mapped = Pool::map(folder / "pool.mpp");
    for (std::size_t q = 0; q < scene.query_count(); ++q)
      for (const Level first : {Level{0}, Level{1}, Level{2}})
        for (const bool rescore : {true, false}) {
          const RankOptions options{.pilot = 12, .rescore = rescore, .first_level = first};
          const auto built = answers(pool, scene.query(q), options);
          EXPECT_TRUE(identical(answers(loaded, scene.query(q), options), built)) << metric_name(metric);
          EXPECT_TRUE(identical(answers(mapped, scene.query(q), options), built)) << metric_name(metric);
        }
  }
}

}  // namespace
}  // namespace mpp::ranking

// best_midpoints() may skip blocks that cannot hold one of the best; the answer must not show it.
#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>

#include "kernels/samples.hpp"
#include "reference/interval.hpp"

namespace mpp::kernels {
namespace {

constexpr float inf = std::numeric_limits<float>::infinity();
constexpr float nan = std::numeric_limits<float>::quiet_NaN();

/// Rows as best_midpoints() takes them, on the host.
struct Rows {
  std::string name;
  std::vector<std::int16_t> dots;
  std::vector<Half> scale;
  std::vector<float> offset, bias;
  std::vector<std::uint64_t> allowed;
  float step = 1.0F;

  std::size_t blocks() const { return offset.size(); }
  std::vector<float> top_scale() const {
    std::vector<float> top(blocks(), 0.0F);
    for (std::size_t i = 0; i < scale.size(); ++i) top[i / 64] = std::max(top[i / 64], to_float(scale[i]));
    return top;
  }
};

ScoreFrame frame_of(const Rows& rows) { return {.step = rows.step, .q2 = 1, .slack = 0x1p-20F}; }

std::vector<Candidate> best(const Context& context, const Rows& rows, std::size_t k, float least,
                            const std::vector<float>& top_scale) {
  const std::vector<Half> residual(rows.dots.size());
  const DeviceArray<std::int16_t> dots(context, std::span<const std::int16_t>(rows.dots));
  const DeviceArray<Half> scales(context, std::span<const Half>(rows.scale));
  const DeviceArray<Half> residuals(context, std::span<const Half>(residual));
  const DeviceArray<float> offset(context, std::span<const float>(rows.offset));
  const DeviceArray<float> bias(context, std::span<const float>(rows.bias));
  const DeviceArray<float> top(context, std::span<const float>(top_scale));
  const DeviceArray<std::uint64_t> allowed(context, std::span<const std::uint64_t>(rows.allowed));
  DeviceArray<Candidate> out(context, k);
  const std::size_t n =
      best_midpoints(context, dots.span(),
                     {{scales.span(), residuals.span(), 8.0F}, offset.span(), bias.span(), allowed.span(), top.span()},
                     frame_of(rows), out.span(), least);
  auto found = out.to_host();
  found.resize(n);
  return found;
}

/// `blocks` blocks with every row allowed, zero offsets, scale 1 and random sums.
Rows plain(std::size_t blocks, unsigned seed) {
  Rows rows{.name = "plain",
            .dots = random_integers<std::int16_t>(blocks * 64, -300, 300, seed),
            .scale = std::vector<Half>(blocks * 64, nearest_half(1.0)),
            .offset = std::vector<float>(blocks, 0.0F),
            .bias = {},
            .allowed = std::vector<std::uint64_t>(blocks, ~0ULL)};
  return rows;
}

template <class Change>
Rows changed(Rows rows, std::string name, const Change& change) {
  rows.name = std::move(name);
  change(rows);
  return rows;
}

std::vector<Rows> all_rows(std::size_t blocks) {
  const Rows base = plain(blocks, 201);
  const auto random_scales = [&](Rows& r) {
    const auto sizes = gaussian<double>(r.scale.size(), 202);
    for (std::size_t i = 0; i < sizes.size(); ++i)
      r.scale[i] = nearest_half(std::exp(sizes[i]) * static_cast<double>(i / 64 % 5 + 1));
  };
  const auto offsets = [&](float center, float spread) {
    return [=](Rows& r) {
      const auto moved = gaussian(r.blocks(), 203, spread);
      for (std::size_t b = 0; b < moved.size(); ++b) r.offset[b] = center + moved[b];
    };
  };
  std::vector<Rows> all{
      base,
      changed(base, "random scales", random_scales),
      changed(base, "random scales and offsets",
              [&](Rows& r) {
                random_scales(r);
                offsets(0.0F, 200.0F)(r);
                r.step = 0.37F;
              }),
      changed(base, "negative offsets",
              [&](Rows& r) {
                random_scales(r);
                offsets(-5000.0F, 500.0F)(r);
              }),
      changed(base, "negative sums",
              [](Rows& r) {
                for (std::int16_t& dot : r.dots) dot = static_cast<std::int16_t>(-1 - std::abs(dot));
              }),
      changed(base, "all equal", [](Rows& r) { std::ranges::fill(r.dots, std::int16_t{7}); }),
      changed(base, "largest and smallest sums",
              [](Rows& r) {
                for (std::size_t i = 0; i < r.dots.size(); ++i)
                  r.dots[i] = i % 3 == 0 ? 32767 : i % 3 == 1 ? -32768 : 32766;
              }),
      changed(base, "every other block with scale 0",
              [](Rows& r) {
                for (std::size_t i = 0; i < r.scale.size(); ++i)
                  if (i / 64 % 2 == 0) r.scale[i] = {};
              }),
      changed(base, "every scale 0", [](Rows& r) { std::ranges::fill(r.scale, Half{}); }),
      changed(base, "a zero query", [](Rows& r) { r.step = 0.0F; }),
      // The scores differ by less than an offset's unit in the last place: they meet in a few floats.
      changed(base, "far offsets, small scores",
              [](Rows& r) {
                r.step = 0x1p-18F;
                for (std::size_t b = 0; b < r.blocks(); ++b) r.offset[b] = b % 3 == 1 ? 1000.0F : 999.99994F;
              }),
      changed(base, "far negative offsets, small scores",
              [](Rows& r) {
                r.step = 0x1p-17F;
                std::ranges::fill(r.offset, -777.0F);
              }),
      changed(base, "few allowed",
              [&](Rows& r) {
                random_scales(r);
                for (std::size_t b = 0; b < r.blocks(); ++b)
                  r.allowed[b] = b % 4 == 3 ? 0 : std::uint64_t{0x81} << b % 50;
              }),
      changed(base, "infinite offsets",
              [](Rows& r) {
                for (std::size_t b = 0; b < r.blocks(); ++b) r.offset[b] = b % 3 == 0 ? -inf : b % 3 == 1 ? 0.0F : inf;
              }),
  };
  return all;
}

class TopScaleTest : public KernelTest {};
MPP_ON_ALL_DEVICES(TopScaleTest);

TEST_P(TopScaleTest, ChangesNoAnswer) {
  for (const std::size_t blocks : {1, 2, 5, 67})
    for (const Rows& rows : all_rows(blocks))
      for (const std::size_t k : {1, 7, 64, 100, 5000})
        for (const float least : {-inf, -5200.0F, -100.0F, 0.0F, 0x1p-30F, 250.0F, 999.99994F, 1e9F, inf})
          EXPECT_EQ(best(context(), rows, k, least, rows.top_scale()), best(context(), rows, k, least, {}))
              << rows.name << ", " << blocks << " blocks, k " << k << ", least " << least;
}

// All arithmetic of these rows is exact, so that the reference knows the order of ties.
TEST_P(TopScaleTest, LeavesTiesToTheSmallerRowWhereverTheLargestOffsetIs) {
  for (const std::size_t top : {0, 3, 6})
    for (const bool equal : {false, true}) {
      Rows rows = plain(7, 204);
      rows.offset[top] = 1.0F;  // visited first
      for (std::size_t i = 0; i < rows.dots.size(); ++i) {
        const int score = equal ? 5 : rows.dots[i] % 3;
        rows.dots[i] = static_cast<std::int16_t>(i / 64 == top ? score - 1 : score);
      }
      const std::vector<Half> residual(rows.dots.size());
      const BlockRows view{{rows.scale, residual, 8.0F}, rows.offset, rows.bias, rows.allowed, {}};
      for (const std::size_t k : {1, 2, 63, 64, 65, 130, 300, 448}) {
        auto expected = reference::midpoints(rows.dots, view, frame_of(rows));
        expected.resize(k);
        EXPECT_EQ(best(context(), rows, k, -inf, rows.top_scale()), expected) << top << ", k " << k;
        EXPECT_EQ(best(context(), rows, k, -inf, {}), expected) << top << ", k " << k;
      }
    }
}

TEST_P(TopScaleTest, IsNotLookedAtWhereRowsHaveABias) {
  Rows rows = plain(9, 205);
  rows.bias = gaussian(rows.dots.size(), 206, 1000.0);
  EXPECT_EQ(best(context(), rows, 20, -inf, std::vector<float>(9, 0.0F)), best(context(), rows, 20, -inf, {}));
}

// A slot without a row may hold any bytes, so that the largest of a block may be far too large.
TEST_P(TopScaleTest, MayBeAnythingThatIsNotTooSmall) {
  const Rows rows = plain(9, 207);
  for (const float top : {1.0F, 2.0F, 65504.0F, inf, nan})
    EXPECT_EQ(best(context(), rows, 20, 10.0F, std::vector<float>(9, top)), best(context(), rows, 20, 10.0F, {}))
        << top;
}

TEST_P(TopScaleTest, KeepsOutRowsBelowTheLeastScore) {
  const Rows rows = plain(9, 208);
  for (const float least : {-50.0F, 0.0F, 1.0F, 299.0F}) {
    auto expected = best(context(), rows, 9 * 64, -inf, {});
    std::erase_if(expected, [&](const Candidate& row) { return row.score < least; });
    EXPECT_EQ(best(context(), rows, 9 * 64, least, rows.top_scale()), expected) << least;
    EXPECT_FALSE(expected.empty());
  }
}

// Also shows that blocks are skipped at all: only the CPU does it.
TEST(TopScale, TheTestsAboveCatchOneThatIsTooSmall) {
  const auto differs = [](const Rows& rows, std::size_t k, const std::function<void(std::vector<float>&)>& breaks) {
    auto top = rows.top_scale();
    breaks(top);
    return best({}, rows, k, -inf, top) != best({}, rows, k, -inf, {});
  };
  const auto shrink = [](float by) {
    return [by](std::vector<float>& top) {
      for (float& scale : top) scale *= 1.0F - by;
    };
  };
  const std::vector<Rows> all = all_rows(67);
  EXPECT_FALSE(differs(all[1], 100, [](auto&) {}));
  EXPECT_TRUE(differs(all[1], 100, shrink(0.5F)));
  EXPECT_TRUE(differs(all[0], 7, shrink(0x1p-5F)));
  EXPECT_TRUE(differs(all[1], 100, [](auto& top) { std::ranges::rotate(top, top.begin() + 1); }));  // of the next block
}

}  // namespace
}  // namespace mpp::kernels

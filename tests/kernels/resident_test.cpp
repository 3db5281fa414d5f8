#include <bit>
#include <limits>

#include <mpp/core/error.hpp>

#include "kernels/adversarial_scenes.hpp"

namespace mpp::kernels {
namespace {

constexpr float inf = std::numeric_limits<float>::infinity();

/// A resident plane with hand-made factors, so that all float arithmetic is exact and ties are certain.
struct Exact {
  std::vector<std::int16_t> dots;
  std::vector<Half> scale, residual;
  std::vector<float> offset, bias;
  std::vector<std::uint64_t> allowed;
  ScoreFrame frame{.step = 0.5F, .q2 = 4.0F, .e1 = 0, .e2 = 0, .relative = 0, .slack = 0x1p-20F, .tail = 0};

  BlockRows rows() const { return {{scale, residual, 2.0F}, offset, bias, allowed}; }
};

Exact exact_plane(std::size_t blocks, unsigned seed) {
  const std::size_t n = blocks * block_rows;
  Exact plane;
  plane.dots = random_integers<std::int16_t>(n, -3, 3, seed);
  for (const int s : random_integers<int>(n, 0, 3, seed + 1)) plane.scale.push_back(nearest_half(std::ldexp(1.0, -s)));
  plane.residual.assign(n, Half{});
  plane.offset = random_integers<float>(blocks, -1, 1, seed + 2);
  plane.bias = random_integers<float>(n, -1, 1, seed + 3);
  for (const int word : random_integers<int>(blocks, 0, 1 << 30, seed + 4))
    plane.allowed.push_back(static_cast<std::uint64_t>(word) * 0x9E3779B97F4A7C15ULL);
  return plane;
}

/// Views of device copies of an Exact plane.
class OnDevice {
 public:
  OnDevice(const Context& context, const Exact& plane)
      : dots(context, std::span<const std::int16_t>(plane.dots)), scale_(context, std::span<const Half>(plane.scale)),
        residual_(context, std::span<const Half>(plane.residual)),
        offset_(context, std::span<const float>(plane.offset)), bias_(context, std::span<const float>(plane.bias)),
        allowed_(context, std::span<const std::uint64_t>(plane.allowed)) {}
  BlockRows rows() const {
    return {{scale_.span(), residual_.span(), 2.0F}, offset_.span(), bias_.span(), allowed_.span()};
  }
  DeviceArray<std::int16_t> dots;

 private:
  DeviceArray<Half> scale_, residual_;
  DeviceArray<float> offset_, bias_;
  DeviceArray<std::uint64_t> allowed_;
};

class BestMidpointsTest : public KernelTest {
 protected:
  static std::vector<Candidate> run(const Exact& plane, std::size_t k) {
    const OnDevice device(context(), plane);
    DeviceArray<Candidate> best(context(), k);
    const std::size_t kept = best_midpoints(context(), device.dots.span(), device.rows(), plane.frame, best.span());
    auto out = best.to_host();
    out.resize(kept);
    return out;
  }
};
MPP_ON_ALL_DEVICES(BestMidpointsTest);

TEST_P(BestMidpointsTest, TakesTheLargestAndTiesByRow) {
  for (const std::size_t blocks : {0, 1, 2, 16})
    for (const std::size_t k : {0, 1, 7, 40, 64, 2000}) {
      const Exact plane = exact_plane(blocks, 81);
      auto expected = reference::midpoints(plane.dots, plane.rows(), plane.frame);
      expected.resize(std::min(k, expected.size()));
      EXPECT_EQ(run(plane, k), expected) << k << " of " << blocks << " blocks";
    }
}

// Few distinct scores among many rows: those that tie with the last one kept are thousands.
TEST_P(BestMidpointsTest, TiesByRowAmongManyRows) {
  constexpr std::size_t blocks = 4200;  // more than one CUDA tile of 256 rows for each of 1024 thread blocks
  Exact plane = exact_plane(blocks, 87);
  const auto expected = reference::midpoints(plane.dots, plane.rows(), plane.frame);
  for (const std::size_t k : {1, 40, 1500}) {
    const auto first = expected.begin();
    EXPECT_EQ(run(plane, k), std::vector<Candidate>(first, first + static_cast<std::ptrdiff_t>(k))) << k;
  }
  plane.scale.assign(plane.scale.size(), Half{});
  plane.offset.assign(blocks, 0.0F);
  plane.bias.clear();
  plane.allowed.assign(blocks, ~0ULL);
  const auto same = run(plane, 100);
  ASSERT_EQ(same.size(), 100U);
  for (std::uint32_t i = 0; i < same.size(); ++i) EXPECT_EQ(same[i], (Candidate{0.0F, i}));
}

TEST_P(BestMidpointsTest, LeavesOutWhatIsBelowTheLeast) {
  const Exact plane = exact_plane(40, 88);
  const OnDevice device(context(), plane);
  const auto all = reference::midpoints(plane.dots, plane.rows(), plane.frame);
  for (const float least : {-inf, -1.0F, 0.5F, all.front().score, 100.0F, inf}) {
    auto expected = all;
    std::erase_if(expected, [&](const Candidate& c) { return c.score < least; });
    expected.resize(std::min<std::size_t>(expected.size(), 70));
    DeviceArray<Candidate> best(context(), 70);
    const std::size_t kept =
        best_midpoints(context(), device.dots.span(), device.rows(), plane.frame, best.span(), least);
    auto found = best.to_host();
    found.resize(kept);
    EXPECT_EQ(found, expected) << least;
  }
}

TEST_P(BestMidpointsTest, WorksWithoutBiasAndWithNothingAllowed) {
  Exact plane = exact_plane(2, 82);
  plane.bias.clear();
  auto expected = reference::midpoints(plane.dots, plane.rows(), plane.frame);
  expected.resize(10);
  EXPECT_EQ(run(plane, 10), expected);
  plane.allowed.assign(2, 0);
  EXPECT_TRUE(run(plane, 10).empty());
}

TEST_P(BestMidpointsTest, ScoresAreMidpointsUpToFloatRounding) {
  const Scene scene = common_scenes(128)[1];
  const CodedScene coded(context(), scene);
  const ResidentScene resident(context(), coded);
  const auto best = resident.best(coded.coarse().frame, 40);
  const auto all = reference::midpoints(resident.dots, resident.host_rows(), coded.coarse().frame);
  ASSERT_EQ(best.size(), 40U);
  for (std::size_t i = 0; i < best.size(); ++i) {
    EXPECT_NEAR(best[i].score, all[i].score, 0x1p-21 * (2 + scene.largest_base()));
    EXPECT_NEAR(best[i].score,
                static_cast<double>(
                    reference::interval(resident.dots, resident.host_rows(), coded.coarse().frame, best[i].row).mid),
                0x1p-21 * (2 + scene.largest_base()));
    EXPECT_GE(best[i == 0 ? 0 : i - 1].score, best[i].score);
  }
}

class MarkReachingTest : public KernelTest {};
MPP_ON_ALL_DEVICES(MarkReachingTest);

TEST_P(MarkReachingTest, MarksTheAllowedRowsWhoseUpperScoreReaches) {
  for (const std::size_t blocks : {0, 1, 2, 17}) {
    Exact plane = exact_plane(blocks, 83);
    const OnDevice device(context(), plane);
    for (const float threshold : {-inf, -2.0F, 0.25F, 1.0F, 100.0F, inf}) {
      DeviceArray<std::uint64_t> marked = upload(std::vector<std::uint64_t>(blocks, ~0ULL));
      const Reach reach =
          mark_reaching(context(), device.dots.span(), device.rows(), plane.frame, threshold, marked.span());
      std::vector<std::uint64_t> expected(blocks, 0);
      std::size_t count = 0;
      for (std::size_t i = 0; i < plane.dots.size(); ++i) {
        // Residuals are 0 and uppers lie 2^-20 above multiples of 1/16: no rounding decides.
        const auto upper = reference::interval(plane.dots, plane.rows(), plane.frame, i).upper;
        if (!reference::allowed(plane.rows(), i) || upper < static_cast<long double>(threshold)) continue;
        expected[i / 64] |= std::uint64_t{1} << (i % 64);
        ++count;
      }
      EXPECT_EQ(marked.to_host(), expected) << threshold;
      EXPECT_EQ(reach.rows, count);
    }
  }
}

TEST_P(MarkReachingTest, ReportsTheHighestUpperScoreOfTheMarked) {
  Exact plane = exact_plane(17, 84);
  const OnDevice device(context(), plane);
  long double highest = -HUGE_VALL;
  for (std::size_t i = 0; i < plane.dots.size(); ++i)
    if (reference::allowed(plane.rows(), i))
      highest = std::max(highest, reference::interval(plane.dots, plane.rows(), plane.frame, i).upper);
  DeviceArray<std::uint64_t> marked(context(), 17);
  const auto reach = [&](float threshold) {
    return mark_reaching(context(), device.dots.span(), device.rows(), plane.frame, threshold, marked.span());
  };
  EXPECT_NEAR(reach(-inf).highest, static_cast<double>(highest), 0x1p-20);
  EXPECT_GE(static_cast<long double>(reach(-inf).highest), highest);
  EXPECT_EQ(reach(100.0F).highest, -inf);
  EXPECT_EQ(reach(100.0F).rows, 0U);
}

TEST_P(MarkReachingTest, KeepsRowsWhoseUpperScoreIsInfiniteOrNotANumber) {
  Exact plane = exact_plane(1, 85);
  plane.allowed = {0b111};
  plane.offset = {0.0F};
  plane.dots.assign(64, 0);
  plane.scale.assign(64, Half{});
  plane.bias.assign(64, 0.0F);
  plane.residual[0] = {0x7C00};  // infinity
  plane.dots[1] = 100;           // the projection exceeds the query: infinity times sqrt(0) is not a number
  plane.residual[1] = {0x7C00};
  const OnDevice device(context(), plane);
  DeviceArray<std::uint64_t> marked(context(), 1);
  const Reach reach = mark_reaching(context(), device.dots.span(), device.rows(), plane.frame, 1e30F, marked.span());
  EXPECT_EQ(marked.to_host()[0], 0b011U);
  EXPECT_EQ(reach.rows, 2U);
  EXPECT_EQ(reach.highest, inf);
}

TEST_P(MarkReachingTest, NamesTheArgumentThatDoesNotFit) {
  const Exact plane = exact_plane(2, 86);
  const OnDevice device(context(), plane);
  DeviceArray<std::uint64_t> marked(context(), 2);
  const auto message = [&](std::size_t n, BlockRows rows, std::size_t words) {
    return message_of<ShapeError>([&] {
      mark_reaching(context(), device.dots.span().first(n), rows, plane.frame, 0.0F, marked.span().first(words));
    });
  };
  EXPECT_NE(message(127, device.rows(), 2).find("dots has 127"), std::string::npos);
  EXPECT_NE(message(64, device.rows(), 2).find("factors has 128"), std::string::npos);
  EXPECT_NE(message(128, device.rows(), 1).find("marked has 1"), std::string::npos);
  BlockRows rows = device.rows();
  rows.bias = rows.bias.first(3);
  EXPECT_NE(message(128, rows, 2).find("bias has 3"), std::string::npos);
  rows = device.rows();
  rows.allowed = rows.allowed.first(1);
  EXPECT_NE(message(128, rows, 2).find("allowed has 1"), std::string::npos);
  rows = device.rows();
  rows.factors.norm = rows.factors.scale.first(64);
  EXPECT_NE(message(128, rows, 2).find("factors has 64 norms, expected 0 or 128"), std::string::npos);
  rows = device.rows();
  rows.top_scale = rows.block_offset.first(1);
  EXPECT_NE(message(128, rows, 2).find("top_scale has 1 values, expected 0 or 2"), std::string::npos);
  rows = device.rows();
  rows.top_residual = rows.block_offset.first(1);
  EXPECT_NE(message(128, rows, 2).find("top_residual has 1 values, expected 0 or 2"), std::string::npos);
}

class CompactMarkedTest : public KernelTest {};
MPP_ON_ALL_DEVICES(CompactMarkedTest);

TEST_P(CompactMarkedTest, ListsTheSetBitsAscending) {
  for (const std::size_t words : {0, 1, 2, 16, 1000})
    for (const int density : {0, 1, 2}) {
      std::vector<std::uint64_t> marked = {};
      for (const int word : random_integers<int>(words, 0, 1 << 30, 87))
        marked.push_back(density == 0 ? 0 : density == 1 ? static_cast<std::uint64_t>(word) << 33 | 1U : ~0ULL);
      const auto expected = reference::set_bits(marked);
      DeviceArray<std::uint32_t> rows(context(), expected.size());
      compact_marked(context(), upload(marked).span(), rows.span());
      EXPECT_EQ(rows.to_host(), expected) << words << " words";
    }
}

TEST_P(CompactMarkedTest, RefusesAListOfAnotherLength) {
  const auto marked = upload(std::vector<std::uint64_t>{0b1011});
  DeviceArray<std::uint32_t> rows(context(), 4);
  for (const std::size_t n : {2, 4})
    EXPECT_NE(message_of<ShapeError>([&] {
                compact_marked(context(), marked.span(), rows.span().first(n));
              }).find(text("rows has ", n)),
              std::string::npos);
}

}  // namespace
}  // namespace mpp::kernels

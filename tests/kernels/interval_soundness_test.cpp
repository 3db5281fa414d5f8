// The heart of every certificate: a true score, computed in 113 bits, lies strictly inside its interval, for every row.
#include "kernels/adversarial_scenes.hpp"

namespace mpp::kernels {
namespace {

using reference::Quad;

/// What escaped: the count, and the first case in words.
struct Escapes {
  std::size_t count = 0;
  std::string first;

  void add(const CodedScene& coded, std::size_t row, const std::string& what) {
    if (count++ == 0) first = text(coded.scene().name, ", dims ", coded.scene().dims, ", row ", row, ": ", what);
  }
  Escapes& operator+=(const Escapes& other) {
    if (count == 0) first = other.first;
    count += other.count;
    return *this;
  }
};

/// Rows of the first plane that a threshold at or below their true score drops, or whose upper score is too low.
Escapes escapes_from_marking(const Context& context, const CodedScene& coded) {
  Escapes escapes;
  const ResidentScene resident(context, coded);
  for (std::size_t i = 0; i < coded.scene().size(); ++i) {
    const Quad score = coded.scene().true_score(i);
    std::vector<std::uint64_t> only(resident.allowed.size(), 0);
    only[i / block_rows] = std::uint64_t{1} << (i % block_rows);
    const auto [words, reach] = resident.mark(coded.coarse().frame, float_below(score), only);
    if (words != only || reach.rows != 1)
      escapes.add(coded, i, "a threshold at the true score drops it");
    else if (!(Quad{reach.highest} > score))
      escapes.add(coded, i, text("upper ", reach.highest, " is not above ", static_cast<double>(score)));
  }
  return escapes;
}

/// Rows outside their interval after any one plane, or after the planes one by one.
Escapes escapes_from_tightening(const Context& context, const CodedScene& coded) {
  Escapes escapes;
  auto narrowing = unlimited(coded.scene().size());
  for (std::size_t plane = 0; plane < planes; ++plane) {
    auto alone = unlimited(coded.scene().size());
    tighten(context, coded, plane, alone);
    tighten(context, coded, plane, narrowing);
    for (std::size_t i = 0; i < alone.size(); ++i) {
      const Quad score = coded.scene().true_score(i);
      for (const auto& [lower, upper] : {alone[i], narrowing[i]})
        if (!(Quad{lower} < score && score < Quad{upper}))
          escapes.add(coded, i,
                      text("plane ", plane, ", ", static_cast<double>(score), " outside ", lower, " ... ", upper));
    }
  }
  return escapes;
}

Escapes escapes(const Context& context, const Scene& scene, const Breakage& breakage = {}) {
  const CodedScene coded(context, scene, breakage);
  Escapes all = escapes_from_marking(context, coded);
  return all += escapes_from_tightening(context, coded);
}

class ScoreIntervalTest : public KernelTest {
 protected:
  static Escapes escapes_of(const std::vector<Scene>& scenes, const Breakage& breakage = {}) {
    Escapes all;
    for (const Scene& scene : scenes) all += escapes(context(), scene, breakage);
    return all;
  }
};
MPP_ON_ALL_DEVICES(ScoreIntervalTest);

TEST_P(ScoreIntervalTest, HoldsEveryTrueScore) {
  for (const std::size_t dims : {8, 64, 96, 128, 384, 1024}) {
    const Escapes all = escapes_of(all_scenes(context(), dims));
    EXPECT_EQ(all.count, 0U) << all.first;
  }
}

// Stores ||v|| itself where Half holds it: the encoder always rounds up a little, which would hide the root's rounding.
void exact_norm(PlaneFactors& f, std::span<const float>, std::span<const int> v, int) {
  double squares = 0.0;
  for (const int x : v) squares += double{1} * x * x;
  const Half norm = nearest_half(std::sqrt(squares));
  if (reference::half_value(norm) * reference::half_value(norm) == squares) f.norm = norm;
}

TEST_P(ScoreIntervalTest, HoldsEveryTrueScoreWhenOnlyRoundingIsLeftUnderTheRoot) {
  const Escapes all = escapes_of(rounding_under_the_root(), {.factors = exact_norm});
  EXPECT_EQ(all.count, 0U) << all.first;
}

TEST_P(ScoreIntervalTest, TheTestAboveCatchesAQueryNormRoundedDown) {
  const Breakage down{.frame = [](ScoreFrame& f) { f.q2 *= 1 - 0x1p-18F; }, .factors = exact_norm};
  EXPECT_GT(escapes_of(rounding_under_the_root(), down).count, 0U);
}

// Broken twins: the same check on the same scenes must catch each of them.

TEST_P(ScoreIntervalTest, TheTestAboveCatchesAFrameThatIgnoresTheQuerysRounding) {
  const Breakage no_query_error{.frame = [](ScoreFrame& f) { f.e1 = f.e2 = 0.0F; }};
  EXPECT_GT(escapes_of({along_the_querys_rounding(64)}, no_query_error).count, 0U);
  EXPECT_GT(escapes_of({along_the_querys_rounding(1024)}, no_query_error).count, 0U);
}

TEST_P(ScoreIntervalTest, TheTestAboveCatchesA1NormThatForgetsHowLargeTheCodesAre) {
  const Breakage of_the_first_plane{.frame = [](ScoreFrame& f) { f.e1 /= 255; }};
  EXPECT_GT(escapes_of({along_the_querys_rounding(384)}, of_the_first_plane).count, 0U);
}

TEST_P(ScoreIntervalTest, TheTestAboveCatchesAFrameThatIgnoresTheRoundingOfTheScale) {
  const Breakage no_rounding{.frame = [](ScoreFrame& f) { f.relative = f.slack = 0.0F; }};
  EXPECT_GT(escapes_of({exact_codes(64)}, no_rounding).count, 0U);
  EXPECT_GT(escapes_of({exact_codes(64)}, {.frame = [](ScoreFrame& f) { f.relative = 0.0F; }}).count, 0U);
}

TEST_P(ScoreIntervalTest, TheTestAboveCatchesAResidualRoundedDown) {
  const Breakage down{.factors = [](PlaneFactors& f, auto, auto, int) {
    if (f.residual.bits != 0) --f.residual.bits;
  }};
  EXPECT_GT(escapes_of({along_the_residual(128)}, down).count, 0U);
}

TEST_P(ScoreIntervalTest, TheTestAboveCatchesAResidualRoundedToNearest) {
  const Breakage nearest{.factors = [](PlaneFactors& f, std::span<const float> y, std::span<const int> v, int unit) {
    double yv = 0, vv = 0, rr = 0;
    for (std::size_t j = 0; j < y.size(); ++j) {
      yv += double{y[j]} * v[j];
      vv += double{1} * v[j] * v[j];
    }
    for (std::size_t j = 0; j < y.size(); ++j) rr += std::pow(y[j] - yv / vv * v[j], 2);
    f.residual = nearest_half(std::ldexp(std::sqrt(rr), -unit));
  }};
  EXPECT_GT(escapes_of({along_the_residual(128)}, nearest).count, 0U);
}

TEST_P(ScoreIntervalTest, TheTestAboveCatchesANormRoundedDown) {
  const Breakage down{.factors = [](PlaneFactors& f, auto, auto, int) { --f.norm.bits; }};
  EXPECT_GT(escapes_of({almost_parallel_to_the_code(1024)}, down).count, 0U);
  const CodedScene refined(context(), tight_for_a_plane(context(), 64, 1, -0.03), down);
  EXPECT_GT(escapes_from_tightening(context(), refined).count, 0U);
}

TEST_P(ScoreIntervalTest, TheTestAboveCatchesAnUpperScoreComputedFromTheMidpointAlone) {
  const Breakage no_residual{.factors = [](PlaneFactors& f, auto, auto, int) { f.residual = {}; }};
  EXPECT_GT(escapes_of({common_scenes(64).front()}, no_residual).count, 0U);
}

// An interval of everything would be sound. Ours exceeds the formula by the rounding under the square root (2^-20 of
// q2 moves it by at most 2^-10) and by float arithmetic.
TEST_P(ScoreIntervalTest, IsNotWiderThanTheFormula) {
  constexpr std::size_t dims = 128;
  for (const Scene& scene : all_scenes(context(), dims)) {
    const CodedScene coded(context(), scene);
    for (std::size_t plane = 0; plane < planes; ++plane) {
      auto intervals = unlimited(scene.size());
      tighten(context(), coded, plane, intervals);
      for (std::size_t i = 0; i < intervals.size(); ++i) {
        const PlaneFactors f = coded.factors(i, plane);
        const double residual = reference::half_value(f.residual);
        if (std::isinf(residual)) continue;
        const auto formula = reference::interval(static_cast<long double>(coded.fine_dot(i, plane)), scene.base_of(i),
                                                 reference::half_value(f.scale), residual,
                                                 reference::half_value(f.norm), coded.fine(plane).frame);
        const long double allowance = residual * 0x1p-9L + 0x1p-19L * (2.0L + scene.largest_base());
        EXPECT_GE(static_cast<long double>(intervals[i].lower), formula.lower - allowance) << scene.name;
        EXPECT_LE(static_cast<long double>(intervals[i].upper), formula.upper + allowance) << scene.name;
      }
    }
  }
}

TEST_P(ScoreIntervalTest, NeverWidens) {
  const Scene scene = common_scenes(96).front();
  const CodedScene coded(context(), scene);
  std::vector<ScoreInterval> intervals(scene.size(), ScoreInterval{-0.01F, 0.01F});
  for (std::size_t plane = 0; plane < planes; ++plane) tighten(context(), coded, plane, intervals);
  for (const auto& [lower, upper] : intervals) {
    EXPECT_GE(lower, -0.01F);
    EXPECT_LE(upper, 0.01F);
  }
}

}  // namespace
}  // namespace mpp::kernels

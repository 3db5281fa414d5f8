// What the search promises about every labelling, against the walk through all paths, and proofs that this comparison
// catches searches that promise too much.
#include <algorithm>
#include <array>

#include "kernels/ctc_scene.hpp"
#include "kernels/kernel_test.hpp"
#include "reference/ctc_step_reference.hpp"

namespace mpp::kernels {
namespace {

using reference::CtcLabels;

/// What a comparison has seen.
struct Tally {
  std::size_t proven = 0;             ///< best ones that ctc_mass_gap() proves to be the optimum
  std::size_t gap_violations = 0;     ///< some labelling has more than exp(gap) times the best one's probability (S1)
  std::size_t charge_violations = 0;  ///< some labelling has more than its mass and its charges (S3)
  std::size_t merge_violations = 0;   ///< a prefix is live twice
};

double rounding(const CtcFound& found) { return (found.progress.frames + 2.0) * (0x1p-24 + 0x1p-46); }

/// after[t]: the largest P of any labelling of the frames after t, after any token.
std::vector<CtcBound> true_bounds(const CtcScene& s) {
  std::vector<CtcBound> after;
  for (std::size_t t = 0; t < s.frames(); ++t) {
    long double most = 0.0L;
    for (std::size_t last = 0; last < s.tokens; ++last)
      for (const auto& [z, p] : reference::ctc_labellings(s.log_probs, s.tokens, s.blank, t + 1, last))
        most = std::max(most, p);
    const int e = std::ilogb(most);
    after.push_back({ctc::float_above(static_cast<double>(std::scalbn(most, -e)) * (1.0 + 0x1p-50)), e});
  }
  return after;
}

/// Not below P(y), by the invariant of certificate S3: charges on the way to y, and its mass if it is live.
double charged(const CtcFound& found, const CtcScene& s, const CtcLabels& y) {
  std::uint32_t node = 0;
  double charges = static_cast<double>(found.charges[0].own), mass = 0.0;
  std::size_t known = 0;
  for (; known < y.size(); ++known) {
    std::uint32_t child = found.nodes[node].first_child;
    while (child != no_ctc_node && found.nodes[child].label != y[known]) child = found.nodes[child].next_sibling;
    if (child == no_ctc_node) break;
    node = child;
    charges += static_cast<double>(found.charges[node].own);
  }
  if (known < y.size()) charges += static_cast<double>(found.charges[node].below);
  for (const CtcHypothesis& h : found.live)
    if (known == y.size() && h.node == node) mass = double{h.blank_mass} + double{h.label_mass};
  return (std::scalbn(charges, s.unit) + std::scalbn(mass, static_cast<int>(found.progress.exponent))) *
         std::exp(rounding(found));
}

template <class Run>
Tally compare(std::size_t cases, Run run) {
  constexpr double slack = 1.0 - 1e-12;  // of the walk: 2^-64 for each of a few hundred operations
  constexpr std::array shapes{Shape::smooth, Shape::peaked, Shape::tied, Shape::gaps};
  std::mt19937_64 random(3);
  Tally tally;
  for (std::size_t i = 0; i < cases; ++i) {
    const std::size_t tokens = 1 + random() % 4, frames = 1 + random() % 5;
    CtcScene s = random_ctc_scene(random, shapes[i % 4], frames, tokens, 1 + random() % 4);
    if (random() % 3 == 0) s.capacity = 1 + random() % 6;
    s.after = true_bounds(s);
    s.unit = static_cast<std::int32_t>(random() % 5) - 4;
    const CtcFound found = run(s);
    const auto truth = reference::ctc_labellings(s.log_probs, s.tokens, s.blank, 0, s.blank);
    for (const auto& [y, p] : truth) tally.charge_violations += charged(found, s, y) < static_cast<double>(p) * slack;
    std::vector<CtcLabels> live;
    for (const CtcHypothesis& h : found.live) live.push_back(found.labels(h.node));
    const CtcLabels best = live.empty() ? CtcLabels{} : live.front();
    std::sort(live.begin(), live.end());
    tally.merge_violations += std::adjacent_find(live.begin(), live.end()) != live.end();
    const double gap = ctc_mass_gap(found.progress, found.live);
    if (live.empty()) {
      EXPECT_EQ(gap, std::numeric_limits<double>::infinity());
      continue;
    }
    long double others = 0.0L;
    for (const auto& [y, p] : truth)
      if (y != best) others = std::max(others, p);
    tally.proven += gap == 0.0;
    tally.gap_violations += static_cast<double>(others) * slack > static_cast<double>(truth.at(best)) * std::exp(gap);
  }
  return tally;
}

TEST(CtcStepSoundness, NoLabellingHasMoreThanTheGapOrTheChargesSay) {
  const Tally t = compare(4000, [](const CtcScene& s) { return run_ctc(Context{}, s); });
  EXPECT_EQ(t.gap_violations, 0U);
  EXPECT_EQ(t.charge_violations, 0U);
  EXPECT_EQ(t.merge_violations, 0U);
  EXPECT_GT(t.proven, 1000U);
  std::cout << "proven " << t.proven << " of 4000\n";
}

template <class Policy>
Tally broken() {
  return compare(1000, [](const CtcScene& s) { return run_ctc_with<Policy>(s); });
}

struct NeverMerges : ctc::Rules {
  static constexpr bool merges = false;
};
TEST(CtcStepSoundness, TheTestAboveCatchesPrefixesThatAreNotMerged) {
  const Tally t = broken<NeverMerges>();
  EXPECT_GT(t.merge_violations, 0U);
  EXPECT_GT(t.charge_violations, 0U);
}

struct ForgetsDrops : ctc::Rules {
  static std::uint64_t count(std::uint64_t) { return 0; }
};
TEST(CtcStepSoundness, TheTestAboveCatchesDropsThatAreNotCounted) {
  EXPECT_GT(broken<ForgetsDrops>().gap_violations, 0U);
}

struct CountsHalf : ctc::Rules {
  static std::uint64_t count(std::uint64_t units) { return units / 2; }
};
TEST(CtcStepSoundness, TheTestAboveCatchesDropsCountedByHalf) { EXPECT_GT(broken<CountsHalf>().gap_violations, 0U); }

struct ChargesLess : ctc::Rules {
  static double charge(double mass) { return 0.9 * mass; }
};
TEST(CtcStepSoundness, TheTestAboveCatchesDropsChargedTooLow) {
  EXPECT_GT(broken<ChargesLess>().charge_violations, 0U);
}

TEST(CtcMassGap, SaysNothingAboutNothingAndRefusesAnotherNumberOfHypotheses) {
  constexpr double infinity = std::numeric_limits<double>::infinity();
  EXPECT_EQ(ctc_mass_gap({}, {}), infinity);
  const std::vector<CtcHypothesis> live{{1.0F, 0.5F, 0}, {0.5F, 0.0F, 1}};
  EXPECT_EQ(ctc_mass_gap({.dropped = 0.5, .frames = 3, .live = 2}, live), 0.0);
  EXPECT_GT(ctc_mass_gap({.dropped = 1.0, .frames = 3, .live = 2}, live), 0.0);  // equal but for the rounding
  EXPECT_NEAR(ctc_mass_gap({.dropped = 2.5, .frames = 3, .live = 2}, live), std::log(2.0), 1e-6);
  EXPECT_EQ(ctc_mass_gap({.dropped = infinity, .frames = 3, .live = 2}, live), infinity);
  EXPECT_EQ(message_of<ShapeError>([&] { static_cast<void>(ctc_mass_gap({.live = 1}, live)); }),
            "ctc_mass_gap: live has 2 values, expected 1");
}

}  // namespace
}  // namespace mpp::kernels

#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <iostream>
#include <memory_resource>
#include <random>

#include <mpp/core/control/controller.hpp>
#include <mpp/speech/ctc_exact.hpp>
#include <mpp/speech/score_gap.hpp>

#include "domains/speech/ctc_scenes.hpp"
#include "reference/ctc_reference.hpp"

namespace mpp::speech {
namespace {

using namespace mpp::test;

constexpr Level exact_level = 5;
constexpr double slack = 1e-12;  // of the enumeration and of ln P in double: a few hundred roundings

/// Never satisfied: the session climbs to the top.
struct Unsatisfied {
  ErrorBound bound(const CtcRequest&, const CtcState&, const CtcResult&, Level, Delta) const {
    return ErrorBound::none();
  }
};

struct House {
  explicit House(Footprint capacity = Footprint::unlimited(), CtcOptions options = {})
      : ledger(capacity), tier(options), controller(tier, estimator, ledger.root()) {}
  Outcome<CtcResult> serve(const Emissions& e, double epsilon = 0.0, std::size_t n_best = 1) const {
    const CtcRequest request{e, n_best};
    return controller.serve(request, {.epsilon = {epsilon}});
  }
  Ledger ledger;
  CtcTier tier;
  ScoreGap estimator;
  Controller<CtcTier, ScoreGap> controller;
};

using Tokens = std::vector<std::uint32_t>;

// Runs every level of a request and hands each result to `look`.
template <class Look>
void climb(const CtcTier& tier, const CtcRequest& request, const Look& look) {
  Ledger ledger(Footprint::unlimited());
  Reservation reservation(ledger.root());
  ReservationResource resource(reservation, MemorySpace::host);
  CtcState state(&resource);
  for (Level level = 0; level < tier.levels(); ++level) {
    ASSERT_FALSE(reservation.try_grow(tier.increment(request, state, level)).has_value());
    ASSERT_EQ(reservation.reserved(), tier.footprint(request, level));
    tier.materialise(request, state, level);
    look(level, tier.execute(request, state, level));
  }
}

TEST(CtcTier, GapsHoldAtEveryLevelAndTheLastOneIsTheOptimum) {
  std::mt19937_64 random(3);
  const CtcTier tier({.suffix = {.horizon = 3, .live_cap = 2}, .nodes_per_hypothesis = 1});
  for (int i = 0; i < 1500; ++i) {
    const EmissionMatrix m = random_emissions(random, 1 + random() % 6, 1 + random() % 4,
                                              static_cast<double>(random() % 5), random() % 2 == 0 ? 0.3 : 0.0);
    const CtcRequest request{m.view(random() % m.tokens), 1 + random() % 3};
    const auto truth = reference::all_labellings(request.emissions);
    const auto best = static_cast<double>(std::log(reference::most_probable(truth)->second));
    double before = -std::numeric_limits<double>::infinity();
    climb(tier, request, [&](Level level, const CtcResult& result) {
      const auto p = static_cast<double>(std::log(truth.at(result.best.front().tokens)));
      EXPECT_GE(result.gap, best - p - slack) << level;
      EXPECT_GE(p, before - slack) << "an incumbent was lost at level " << level;
      EXPECT_LE(result.best.size(), request.n_best);
      for (const Transcript& t : result.best) {
        const auto q = static_cast<double>(std::log(truth.at(t.tokens)));
        EXPECT_LE(t.log_prob_lower, q + slack);
        EXPECT_GE(t.log_prob_upper, q - slack);
      }
      before = p;
      if (level != exact_level) return;
      EXPECT_EQ(result.gap, 0.0);
      EXPECT_NEAR(p, best, slack);
      EXPECT_LE(static_cast<double>(result.expansions), result.predicted_expansions);
    });
  }
}

// climb() reserves the claim of each level and no byte more.
TEST(CtcTier, TheExactSearchOfALowerLevelFitsItsClaimAndLeavesListsAlone) {
  std::mt19937_64 random(8);
  const CtcTier tier;
  std::size_t proven = 0;
  for (int i = 0; i < 60; ++i) {
    const EmissionMatrix m = random_emissions(random, 20 + random() % 20, 12 + random() % 10, 4.0, 0.0);
    for (const std::size_t n_best : {1U, 10U})
      climb(tier, {m.view(0), n_best}, [&](Level level, const CtcResult& result) {
        if (level == exact_level || result.expansions == 0) return;
        EXPECT_EQ(n_best, 1U);
        EXPECT_GE(level, 1U);
        proven += result.gap == 0.0 ? 1 : 0;
      });
  }
  EXPECT_GT(proven, 20U);
}

TEST(CtcTier, FindsWhatTheProductOfLargestProbabilitiesMisses) {
  // Best path: two blanks, 0.36. P(a) = 0.16 + 2 * 0.24 = 0.64.
  const EmissionMatrix m = from_probabilities({0.4F, 0.0F, 0.6F, 0.4F, 0.0F, 0.6F}, 3);
  const auto outcome = House().serve(m.view(2));
  EXPECT_EQ(outcome.value().best.front().tokens, Tokens{0});
  EXPECT_NEAR(std::exp(outcome.value().best.front().log_prob_lower), 0.64, 1e-6);
  EXPECT_EQ(outcome.level, 0U);
}

TEST(CtcTier, AnswersEdgeCases) {
  const float lowest = -std::numeric_limits<float>::infinity();
  const House house;
  // One token: the blank. One frame. All but one token impossible, with a repetition that needs the blank between.
  EXPECT_TRUE(house.serve(EmissionMatrix{{0, 0, 0}, 3, 1}.view(0)).value().best.front().tokens.empty());
  EXPECT_EQ(house.serve(from_probabilities({0.2F, 0.5F, 0.3F}, 3).view(0)).value().best.front().tokens, Tokens{1});
  const EmissionMatrix only{{0, lowest, 0, lowest, lowest, 0, 0, lowest, 0, lowest}, 5, 2};
  const auto repeated = house.serve(only.view(1));
  EXPECT_EQ(repeated.value().best.front().tokens, (Tokens{0, 0}));
  EXPECT_EQ(repeated.value().frames, (Tokens{0, 3}));
  EXPECT_NEAR(repeated.value().best.front().log_prob_upper, 0.0, 1e-10);
  // A row without mass, logits, a NaN.
  EXPECT_THROW((void)house.serve(EmissionMatrix{{0, lowest, lowest, lowest}, 2, 2}.view(1)), ValueError);
  EXPECT_THROW((void)house.serve(EmissionMatrix{{1, 2}, 1, 2}.view(1)), ValueError);
  EXPECT_THROW((void)house.serve(EmissionMatrix{{0, std::nanf("")}, 1, 2}.view(1)), ValueError);
  EXPECT_THROW((void)house.serve(Emissions{}), ShapeError);
  EXPECT_THROW((void)house.serve(only.view(1), 0.0, 0), ValueError);
  for (const std::vector<std::size_t>& caps : {std::vector<std::size_t>{}, {0, 2}, {2, 2}, {16, 2}})
    EXPECT_THROW(CtcTier({.live_caps = caps}), ValueError);
}

TEST(CtcTier, PeakyFramesNeedOneHypothesisAndFlatOnesAreNotCertifiedEarly) {
  std::mt19937_64 random(5);
  const EmissionMatrix peaky = random_emissions(random, 60, 20, 400.0, 0.0);
  EXPECT_EQ(House().serve(peaky.view(0)).level, 0U);

  const EmissionMatrix flat = random_emissions(random, 40, 20, 0.1, 0.0);
  const House small(Footprint::host(Bytes{400'000}));
  const auto outcome = small.serve(flat.view(0));
  EXPECT_EQ(outcome.verdict, Verdict::out_of_memory);
  EXPECT_GT(outcome.bound.value(), 1.0);
  EXPECT_GE(outcome.raw->predicted_expansions, 1e9);
}

TEST(CtcTier, ASearchThatWouldNotEndSaysSo) {
  std::mt19937_64 random(5);
  const EmissionMatrix flat = random_emissions(random, 60, 30, 0.1, 0.0);
  const CtcTier tier({.max_expansions = 1000});
  const Unsatisfied never;
  Ledger ledger(Footprint::unlimited());
  const Controller<CtcTier, Unsatisfied> controller(tier, never, ledger.root());
  const CtcRequest request{flat.view(0), 1};
  auto session = controller.start(request);
  for (Level level = 0; level < exact_level; ++level) ASSERT_TRUE(session.advance());
  EXPECT_THROW((void)session.advance(), SearchTooLong);
  const auto outcome = session.take();
  EXPECT_EQ(outcome.level, exact_level - 1);
  EXPECT_GT(outcome.raw->gap, 0.0);
}

TEST(CtcTier, ThousandsOfFramesDoNotUnderflow) {
  std::mt19937_64 random(11);
  constexpr std::size_t frames = 3000, tokens = 12;
  // Each frame as sharp as those of real speech; every tenth one hard to tell. P(answer) is far below a double.
  EmissionMatrix m = random_emissions(random, frames, tokens, 12.0, 0.0);
  const CtcRequest request{m.view(0), 1};
  const CtcTier tier;
  std::pmr::unsynchronized_pool_resource memory;
  CtcState state(&memory);
  double before = std::numeric_limits<double>::infinity();
  for (Level level = 0; level < 3; ++level) {
    tier.materialise(request, state, level);
    const CtcResult result = tier.execute(request, state, level);
    EXPECT_TRUE(std::isfinite(result.best.front().log_prob_lower));
    EXPECT_LT(result.best.front().log_prob_upper - result.best.front().log_prob_lower, 1e-9);
    EXPECT_TRUE(std::isfinite(result.gap)) << level;
    EXPECT_LE(result.gap, before);
    before = result.gap;
    std::cout << "level " << level << ": ln P " << result.best.front().log_prob_lower << ", gap " << result.gap
              << ", live " << result.live_mean << '\n';
  }
}

TEST(CtcTier, LabelFramesFollowTheBestPath) {
  // Tokens 2 2 0 3 3 3 0 3 are emitted first at frames 0, 3 and 7.
  const std::vector<std::size_t> path{2, 2, 0, 3, 3, 3, 0, 3};
  std::vector<float> p(path.size() * 4, 0.01F);
  for (std::size_t t = 0; t < path.size(); ++t) p[t * 4 + path[t]] = 0.97F;
  const auto result = House().serve(from_probabilities(p, 4).view(0)).value();
  EXPECT_EQ(result.best.front().tokens, (Tokens{2, 3, 3}));
  EXPECT_EQ(result.frames, (Tokens{0, 3, 7}));
}

TEST(CtcTier, TakesNoMoreThanItsIncrementWhateverTheShape) {
  std::mt19937_64 random(17);
  const CtcTier tier({.suffix = {.horizon = 5, .live_cap = 3}});
  for (const auto& [frames, tokens, n_best] :
       {std::array<std::size_t, 3>{1, 1, 1}, {1, 40, 5}, {25, 2, 1}, {9, 7, 30}, {30, 50, 4}}) {
    const EmissionMatrix m = random_emissions(random, frames, tokens, 6.0, 0.2);
    const CtcRequest request{m.view(tokens - 1), n_best};
    climb(tier, request, [&](Level, const CtcResult& result) { EXPECT_GE(result.best.size(), 1U); });
    for (Level level = 1; level < tier.levels(); ++level)
      EXPECT_TRUE(tier.footprint(request, level - 1).within(tier.footprint(request, level)));
  }
}

TEST(CtcTier, ServesTheSameAnswerTwice) {
  std::mt19937_64 random(23);
  const EmissionMatrix m = random_emissions(random, 40, 12, 4.0, 0.0);
  House house;
  const auto first = house.serve(m.view(0), 0.5, 3), second = house.serve(m.view(0), 0.5, 3);
  EXPECT_EQ(first.raw->best, second.raw->best);
  EXPECT_EQ(first.bound.value(), second.bound.value());
  EXPECT_EQ(first.level, second.level);
  EXPECT_TRUE(house.ledger.root().committed().empty());
}

// Found by a search for ties: a candidate whose mass rounds up to the cutoff was kept, and nothing charged behind it.
TEST(CtcTier, ChargesWhatLiesBehindACandidateThatRoundsUpToTheCutoff) {
  constexpr float none = -std::numeric_limits<float>::infinity();
  const EmissionMatrix m{{none,          -5.2280407F,  -4.86519098F, -0.706307769F, -0.706307769F, -0.320094913F, none,
                          none,          none,         -1.29491961F, none,          -4.73645449F,  -0.701955557F, none,
                          -0.701955557F, -1.70210445F, none,         -0.319446921F, none,          -2.39525151F,  none,
                          none,          0.0F,         none,         none},
                         5,
                         5};
  const reference::Labellings truth = reference::all_labellings(m.view(0));
  const auto best = static_cast<double>(std::log(reference::most_probable(truth)->second));
  for (const std::vector<std::size_t>& caps : {std::vector<std::size_t>{2}, {1, 2}, {1, 2, 3}}) {
    const CtcTier tier({.live_caps = caps});
    const CtcRequest request{.emissions = m.view(0)};
    CtcState state(std::pmr::new_delete_resource());
    for (Level level = 0; level < tier.exact_level(); ++level) {
      tier.materialise(request, state, level);
      const CtcResult result = tier.execute(request, state, level);
      const auto& tokens = result.best.front().tokens;
      const auto found = static_cast<double>(std::log(truth.at({tokens.begin(), tokens.end()})));
      EXPECT_GE(result.gap, best - found - 1e-12) << level << " of " << caps.size();
    }
  }
}

}  // namespace
}  // namespace mpp::speech

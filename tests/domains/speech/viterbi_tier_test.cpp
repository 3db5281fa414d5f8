#include <gtest/gtest.h>

#include <array>
#include <memory_resource>
#include <random>
#include <string>
#include <vector>

#include <mpp/core/control/controller.hpp>
#include <mpp/speech/viterbi_tier.hpp>

#include "domains/speech/viterbi_fuzz.hpp"
#include "support/message_of.hpp"

namespace mpp::speech {
namespace {

using namespace mpp::test;

constexpr float none = -std::numeric_limits<float>::infinity();

/// Letters 1 and 2 are "a" and "b", 0 is the blank, 3 the silence.
struct Letters {
  explicit Letters(const WordWeights& weights = {}, const std::vector<Hotword>& hotwords = {})
      : lexicon(Lexicon::build(words(), spellings())), graph(lexicon, nullptr, weights, hotwords), folded(graph) {}
  static std::vector<std::string> words() { return {"a", "ab", "abb", "bee"}; }
  static Spellings spellings() {
    Spellings s;
    for (const std::vector<Token>& word : {std::vector<Token>{1}, {1, 2}, {1, 2, 2}, {2}}) s.add(word);
    return s;
  }
  Lexicon lexicon;
  WordGraph graph;
  FoldedGraph folded;
};

/// Emissions of 4 tokens that follow a path, `off` nats below 0 elsewhere.
EmissionMatrix follow(const std::vector<std::size_t>& path, float off = -4.0F) {
  EmissionMatrix m{std::vector<float>(path.size() * 4, off), path.size(), 4};
  for (std::size_t t = 0; t < path.size(); ++t) m.log_probs[t * 4 + path[t]] = 0.0F;
  return m;
}

ViterbiResult serve(const ViterbiRequest& request, const ViterbiTier& tier = ViterbiTier({.exact_cap = 9000})) {
  Ledger ledger(Footprint::unlimited());
  const ScoreGap gap;
  const Controller controller(tier, gap, ledger.root());
  return controller.serve(request).value();
}

using Words = std::vector<Lexicon::Word>;
using Frames = std::vector<std::uint32_t>;

TEST(ViterbiTier, ReadsWordsTokensAndTimesOffThePath) {
  const Letters letters({.silence = Token{3}});
  const EmissionMatrix m = follow({1, 1, 2, 0, 2, 3, 3, 2, 2});
  const ViterbiResult r = serve({m.view(0), &letters.folded});
  const WordTranscript& best = r.best.front();
  EXPECT_EQ(best.score_upper, 0.0);
  EXPECT_EQ(best.score_lower, 0.0);
  EXPECT_EQ(r.gap, 0.0);
  // "ab bee bee", "abb bee" and "a bee bee bee" score the same: the smallest of those kept.
  EXPECT_EQ(best.tokens, (std::vector<std::uint32_t>{1, 2, 2, 2}));
  EXPECT_EQ(r.frames, (Frames{0, 2, 4, 7}));
  const Letters longer({.word_bonus = -0.5, .silence = Token{3}});
  const ViterbiResult few = serve({m.view(0), &longer.folded, 2}, ViterbiTier({.live_caps = {64}, .exact_cap = 9000}));
  EXPECT_EQ(few.best.front().words, (Words{2, 3}));
  EXPECT_EQ(few.best.front().score_upper, -1.0);
  EXPECT_EQ(few.spans, (std::vector<WordFrames>{{0, 4}, {7, 7}}));
  ASSERT_EQ(few.best.size(), 2U);
  EXPECT_NE(few.best[1].words, few.best[0].words);
}

TEST(ViterbiTier, HotwordsUnknownWordsAndSilenceCountAsTheGraphSays) {
  const EmissionMatrix m = follow({2, 1, 2});
  const Letters plain({.word_bonus = -1.0});
  EXPECT_EQ(serve({m.view(0), &plain.folded}).best.front().words, (Words{3, 1}));
  const Letters hot({.word_bonus = -1.0}, {{"a", 3.0}});
  const ViterbiResult r = serve({m.view(0), &hot.folded});
  EXPECT_EQ(r.best.front().words, (Words{3, 0, 3}));
  EXPECT_EQ(r.best.front().score_upper, 0.0);
  // Every node but the root ends a word here, so nothing is unknown; with only "abb" its beginnings are.
  const Lexicon lexicon = Lexicon::build(std::vector<std::string>{"abb"}, [] {
    Spellings s;
    s.add(std::vector<Token>{1, 2, 2});
    return s;
  }());
  const WordGraph graph(lexicon, nullptr, {.unknown_score = -0.25});
  const FoldedGraph folded(graph);
  const EmissionMatrix ab = follow({1, 2, 0});
  const ViterbiResult unknown = serve({ab.view(0), &folded});
  EXPECT_EQ(unknown.best.front().words, Words{WordTranscript::unknown});
  EXPECT_EQ(unknown.best.front().tokens, (std::vector<std::uint32_t>{1, 2}));
  EXPECT_EQ(unknown.best.front().score_upper, -0.25);
}

TEST(ViterbiTier, SaysWhenNothingFits) {
  const Letters letters;
  const EmissionMatrix m{{none, none, none, 0.0F}, 1, 4};  // only a token that no word has
  const ViterbiResult r = serve({m.view(0), &letters.folded});
  EXPECT_EQ(r.gap, 0.0);
  EXPECT_TRUE(r.best.front().words.empty());
  EXPECT_EQ(r.best.front().score_upper, -std::numeric_limits<double>::infinity());
  const EmissionMatrix blanks = follow({0, 0, 0});
  EXPECT_TRUE(serve({blanks.view(0), &letters.folded}).best.front().words.empty());
  EXPECT_EQ(serve({blanks.view(0), &letters.folded}).best.front().score_upper, 0.0);
}

TEST(ViterbiTier, TakesNoMoreThanItsIncrements) {
  std::mt19937_64 random(5);
  const std::vector<NgramModel> models = fuzz_models(8);
  for (int i = 0; i < 200; ++i) {
    const ViterbiCase problem(random, Scene::mixed, models);
    const ViterbiRequest request{problem.emissions(), &problem.folded(), 1 + random() % 3};
    const ViterbiTier tier({.live_caps = {1, 2, 5}, .exact_cap = 2000, .words_per_hypothesis = i % 2U});
    Ledger ledger(Footprint::unlimited());
    Reservation reservation(ledger.root());
    ReservationResource resource(reservation, MemorySpace::host);
    ViterbiTier::State state(&resource);
    for (Level level = 0; level < tier.levels(); ++level) {
      ASSERT_FALSE(reservation.try_grow(tier.increment(request, state, level)).has_value());
      ASSERT_EQ(reservation.reserved(), tier.footprint(request, level));
      tier.materialise(request, state, level);  // throws if it takes more
      EXPECT_EQ(tier.execute(request, state, level).best.empty(), false);
    }
  }
}

TEST(ViterbiTier, ResumedLevelsFindWhatLevelsFromTheStartFind) {
  std::mt19937_64 random(6);
  const std::vector<NgramModel> models = fuzz_models(24);
  std::size_t resumed = 0;
  for (int i = 0; i < 3000; ++i) {
    const ViterbiCase problem(random, Scene::mixed, models);
    const ViterbiRequest request{problem.emissions(), &problem.folded(), 1};
    const ViterbiTier ladder({.live_caps = {1, 2, 4}, .exact_cap = 4000}), once({.live_caps = {1}, .exact_cap = 4000});
    ViterbiTier::State climbing(std::pmr::new_delete_resource()), direct(std::pmr::new_delete_resource());
    for (Level level = 0; level < ladder.levels(); ++level) {
      ladder.materialise(request, climbing, level);
      resumed += ladder.execute(request, climbing, level).frames_resumed > 0 ? 1 : 0;
    }
    once.materialise(request, direct, once.exact_level());
    const WordTranscript a = ladder.execute(request, climbing, ladder.exact_level()).best.front();
    const WordTranscript b = once.execute(request, direct, once.exact_level()).best.front();
    EXPECT_LE(a.score_lower, b.score_upper);  // equal up to the rounding of their sums
    EXPECT_LE(b.score_lower, a.score_upper);
  }
  EXPECT_GT(resumed, 100U);
}

TEST(ViterbiTier, TheExactLevelSaysWhenItsRoomIsNotEnough) {
  std::mt19937_64 random(7);
  const Letters letters({.word_bonus = 0.01, .silence = Token{3}});
  EmissionMatrix m{std::vector<float>(200 * 4), 200, 4};
  for (float& x : m.log_probs) x = std::uniform_real_distribution<float>(-1.0F, 0.0F)(random);
  const ViterbiTier tier({.live_caps = {1}, .exact_cap = 2});
  const ViterbiRequest request{m.view(0), &letters.folded};
  ViterbiTier::State state(std::pmr::new_delete_resource());
  tier.materialise(request, state, 0);
  const ViterbiResult before = tier.execute(request, state, 0);
  ASSERT_GT(before.gap, 0.0);
  EXPECT_THROW(tier.materialise(request, state, 1), SearchTooLong);
  EXPECT_EQ(tier.execute(request, state, 0).best, before.best);
  EXPECT_EQ(tier.execute(request, state, 0).gap, before.gap);
}

TEST(ViterbiTier, NamesWhatDoesNotFit) {
  const Letters letters({.silence = Token{3}});
  EmissionMatrix m = follow({1, 2});
  const auto ask = [&](const ViterbiRequest& request) {
    return message_of<std::invalid_argument>([&] { (void)serve(request); });
  };
  const auto says = [](const std::string& message, const char* part) {
    return message.find(part) != std::string::npos;
  };
  EXPECT_PRED2(says, ask({m.view(0), nullptr}), "graph is null");
  EXPECT_PRED2(says, ask({m.view(0), &letters.folded, 0}), "n_best is 0");
  EXPECT_PRED2(says, ask({m.view(1), &letters.folded}), "token 1, which is the blank");
  EXPECT_PRED2(says, ask({m.view(3), &letters.folded}), "silence is token 3");
  EXPECT_PRED2(says, ask({{}, &letters.folded}), "0 frames");
  EXPECT_PRED2(says, ask({{m.log_probs, 4, 2, 0}, &letters.folded}), "spells with token 2");
  m.log_probs[3] = std::numeric_limits<float>::quiet_NaN();
  EXPECT_PRED2(says, ask({m.view(0), &letters.folded}), "frame 0, token 3 is nan");
  EXPECT_PRED2(says, message_of<std::invalid_argument>([&] {
                 PlainViterbiTier::State state(std::pmr::new_delete_resource());
                 PlainViterbiTier().materialise({m.view(0), &letters.folded}, state, 0);
               }),
               "frame 0, token 3 is nan");
  m.log_probs[3] = 0.0F;
  EXPECT_PRED2(says, ask({m.view(4), &letters.folded}), "blank is 4");
  const auto build = [](const ViterbiOptions& options) {
    return message_of<std::invalid_argument>([&] { ViterbiTier tier(options); });
  };
  EXPECT_PRED2(says, build({.live_caps = {}}), "live_caps");
  EXPECT_PRED2(says, build({.live_caps = {4, 4}}), "live_caps");
  EXPECT_PRED2(says, build({.live_caps = {4}, .exact_cap = 4}), "exact_cap is 4");
  EXPECT_PRED2(says, build({.words_per_hypothesis = 1025}), "words_per_hypothesis is 1025");
  EXPECT_PRED2(says, build({.beam_threshold = std::numeric_limits<double>::quiet_NaN()}), "beam_threshold is nan");
}

}  // namespace
}  // namespace mpp::speech

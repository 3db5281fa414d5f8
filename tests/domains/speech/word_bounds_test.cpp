#include <mpp/speech/word_bounds.hpp>

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <random>
#include <vector>

#include "domains/speech/random_arpa.hpp"
#include "fuzz/arpa_property.hpp"

namespace mpp::speech {
namespace {

using namespace mpp::test;
using State = NgramModel::State;

constexpr float inf = std::numeric_limits<float>::infinity();

std::vector<State> all_states(const NgramModel& model) {
  std::vector<State> states;
  for (std::uint32_t s = 0; s < model.states(); ++s) states.push_back(State{s});
  return states;
}

double best(const NgramModel& model, std::span<const State> contexts, WordId word) {
  double best = -std::numeric_limits<double>::infinity();
  for (const State s : contexts) best = std::max(best, model.score(s, word).log_prob);
  return best;
}

bool is_smallest_float_above(float bound, double value) {
  return bound >= value && (std::isinf(value) || std::nextafter(bound, -inf) < value);
}

struct Count {
  std::size_t words = 0, violated = 0, attained = 0;
};
using Upper = std::function<float(const NgramModel&, const WordBounds&, WordId)>;

// Every word of random models against the best of all contexts.
Count compare(const Upper& upper, bool positive_backoffs) {
  Count count;
  for (ArpaShape shape : arpa_shapes())
    for (std::uint64_t seed = 0; seed < 60; ++seed) {
      shape.positive_backoffs = positive_backoffs;
      const NgramModel model = model_of(RandomArpa(shape, seed).text());
      const WordBounds bounds(model);
      const std::vector<State> states = all_states(model);
      for (std::uint32_t w = 0; w < model.words(); ++w, ++count.words) {
        const double truth = best(model, states, WordId{w});
        const float bound = upper(model, bounds, WordId{w});
        if (!(bound >= truth)) ++count.violated;
        if (is_smallest_float_above(bound, truth)) ++count.attained;
      }
    }
  return count;
}

float as_it_is(const NgramModel&, const WordBounds& bounds, WordId word) { return bounds.upper(word); }

TEST(WordBounds, AreNeverBelowAScore) {
  const Count count = compare(as_it_is, true);
  EXPECT_GE(count.words, 5000U);
  EXPECT_EQ(count.violated, 0U);
  EXPECT_GT(count.attained, count.words / 2);
}

// Without positive backoffs no context gains by backing off, so the n-gram itself is the best way to get its bound.
TEST(WordBounds, AreAttainedWhereNoBackoffIsPositive) {
  const Count count = compare(as_it_is, false);
  EXPECT_EQ(count.attained, count.words);
}

TEST(WordBounds, TheTestAboveCatchesABoundThatForgetsPositiveBackoffs) {
  const auto listed_only = [](const NgramModel& model, const WordBounds&, WordId word) {
    const NgramTables& t = model.tables();
    float bound = t.unigram[static_cast<std::uint32_t>(word)];
    for (std::size_t arc = 0; arc < t.arc_word.size(); ++arc)
      if (WordId{t.arc_word[arc]} == word) bound = std::max(bound, t.arc_log_prob[arc]);
    return bound;
  };
  EXPECT_GT(compare(listed_only, true).violated, 100U);
  EXPECT_EQ(compare(listed_only, false).violated, 0U);
}

TEST(WordBounds, TheTestAboveCatchesABoundThatIsNotRoundedUp) {
  const auto nearest = [](const NgramModel& model, const WordBounds& bounds, WordId word) {
    const double truth = best(model, all_states(model), word);
    return bounds.upper(word) >= truth && std::isfinite(truth) ? static_cast<float>(truth) : bounds.upper(word);
  };
  EXPECT_GT(compare(nearest, true).violated, 100U);
}

TEST(WordBounds, OverSomeContextsHoldForThemAndAreNotLooser) {
  std::mt19937_64 random(9);
  std::size_t tighter = 0;
  for (const ArpaShape& shape : arpa_shapes())
    for (std::uint64_t seed = 0; seed < 20; ++seed) {
      const NgramModel model = model_of(RandomArpa(shape, seed).text());
      const WordBounds over_all(model);
      for (int trial = 0; trial < 4; ++trial) {
        std::vector<State> some;
        for (std::size_t n = 1 + random() % 4; n > 0; --n)
          some.push_back(State{static_cast<std::uint32_t>(random() % model.states())});
        const WordBounds bounds(model, some);
        for (std::uint32_t w = 0; w < model.words(); ++w) {
          ASSERT_GE(bounds.upper(WordId{w}), best(model, some, WordId{w}));
          ASSERT_LE(bounds.upper(WordId{w}), over_all.upper(WordId{w}));
          if (bounds.upper(WordId{w}) < over_all.upper(WordId{w})) ++tighter;
        }
      }
      const WordBounds every(model, all_states(model));
      for (std::uint32_t w = 0; w < model.words(); ++w) ASSERT_EQ(every.upper(WordId{w}), over_all.upper(WordId{w}));
    }
  EXPECT_GT(tighter, 1000U);
}

TEST(WordBounds, CountWhatBackoffsAddUpToByHand) {
  const NgramModel model = model_of(
      "\\data\\\nngram 1=4\nngram 2=2\nngram 3=1\n\\1-grams:\n-1 <s>\n-2 </s>\n-1 a 0.25\n-1 b 0.5\n"
      "\\2-grams:\n-1 a b 0.25\n-0.75 b </s>\n\\3-grams:\n-0.5 a b a\n\\end\\\n");
  const WordBounds bounds(model);
  const double ln10 = std::log(10.0);
  // Contexts: a, b, a b. Backing off from a b gains 0.25 down to b and 0.5 more down to nothing.
  EXPECT_NEAR(bounds.upper(model.id("</s>")), (0.25 - 0.75) * ln10, 1e-6);
  EXPECT_NEAR(bounds.upper(model.id("<s>")), (0.25 + 0.5 - 1) * ln10, 1e-6);
  // Not attained for a: a b, whose backoffs reach nothing best, lists a itself.
  EXPECT_NEAR(bounds.upper(model.id("a")), (0.25 + 0.5 - 1) * ln10, 1e-6);
  const State after_a = model.score(model.empty(), model.id("a")).next;
  EXPECT_NEAR(WordBounds(model, std::vector{after_a}).upper(model.id("</s>")), (0.25 - 2) * ln10, 1e-6);
  EXPECT_NEAR(WordBounds(model, std::vector{model.empty()}).upper(model.id("</s>")), -2 * ln10, 1e-6);
}

TEST(WordBounds, WantAContext) {
  const NgramModel model = model_of(std::string(small_arpa));
  EXPECT_THROW(WordBounds(model, std::vector<State>{}), ValueError);
  EXPECT_LT(WordBounds(model).resident().total().count, 200U);
}

}  // namespace
}  // namespace mpp::speech

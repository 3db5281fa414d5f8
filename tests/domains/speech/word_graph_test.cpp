#include <mpp/speech/word_graph.hpp>

#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <limits>
#include <string>
#include <vector>

#include <mpp/core/error.hpp>

#include "domains/speech/random_arpa.hpp"

namespace mpp::speech {
namespace {

using namespace mpp::test;

constexpr double inf = std::numeric_limits<double>::infinity();

struct Scene {
  explicit Scene(const ArpaShape& shape, std::uint64_t seed) : model(model_of(RandomArpa(shape, seed).text())) {
    std::vector<std::string> words;
    Spellings spellings;
    for (std::size_t w = 0; w < 6; ++w) {  // the model lacks some of them
      words.emplace_back(1, 'w');
      words.back().push_back(static_cast<char>('0' + w));
      spellings.add(std::vector<Token>(1 + w % 3, static_cast<Token>(1 + w % 2)));
    }
    lexicon = Lexicon::build(words, spellings);
  }
  NgramModel model;
  Lexicon lexicon;
};

using Potential = std::function<double(const WordGraph&, WordGraph::State)>;
double as_it_is(const WordGraph& graph, WordGraph::State state) { return static_cast<double>(graph.potential(state)); }

/// How often a step is worth more than its bound, over all states and words of many models.
std::size_t violations(const Potential& potential, std::size_t& steps) {
  std::size_t violated = 0;
  std::uint64_t seed = 0;
  for (const ArpaShape& shape : arpa_shapes())
    for (int i = 0; i < 20; ++i, ++seed) {
      const Scene scene(shape, seed);
      const double unknown = seed % 2 == 0 ? -inf : -0.3;
      const WordGraph graph(
          scene.lexicon, &scene.model,
          {.lm_weight = 0.3 + static_cast<double>(seed % 5), .word_bonus = -0.7, .unknown_score = unknown},
          std::vector<Hotword>{{"w1", 2.5}});
      const auto check = [&](double left, double right) {
        ++steps;
        violated += left > right ? 1 : 0;
      };
      for (std::uint32_t s = 0; s < scene.model.states(); ++s) {
        const WordGraph::State state{s};
        const double before = potential(graph, state);
        for (Lexicon::Word word = 0; word < scene.lexicon.words(); ++word) {
          const auto [score, next] = graph.word(state, word);
          check(score + potential(graph, next), before + static_cast<double>(graph.word_upper()[word]));
        }
        const auto [score, next] = graph.unknown(state);
        check(score + potential(graph, next), before + static_cast<double>(graph.unknown_upper()));
        check(graph.end(state), before + static_cast<double>(graph.end_upper()));
      }
    }
  return violated;
}

TEST(WordGraph, NoStepIsWorthMoreThanItsBoundAndThePotentialOfItsContext) {
  std::size_t steps = 0;
  EXPECT_EQ(violations(as_it_is, steps), 0U);
  EXPECT_GT(steps, 20'000U);
}

TEST(WordGraph, TheTestAboveCatchesForgottenPotentials) {
  std::size_t steps = 0;
  const auto none = [](const WordGraph&, WordGraph::State) { return 0.0; };
  const auto smaller = [](const WordGraph& graph, WordGraph::State state) {
    return static_cast<double>(graph.potential(state)) - (state == WordGraph::State{} ? 0.0 : 1e-3);
  };
  EXPECT_GT(violations(none, steps), 0U);
  EXPECT_GT(violations(smaller, steps), 0U);
}

TEST(WordGraph, SmearsTheUnknownWordWhereItMayEnd) {
  const Scene scene({}, 1);
  const WordGraph graph(scene.lexicon, nullptr, {.word_bonus = -5.0, .unknown_score = 9.0});
  for (Lexicon::Node node = 0; node < scene.lexicon.nodes(); ++node) {
    double most = -inf;
    for (Lexicon::Node below = node; below < scene.lexicon.nodes(); ++below) {
      Lexicon::Node up = below;
      while (up > node) up = scene.lexicon.parent(up);
      if (up != node) continue;
      if (!scene.lexicon.words_at(below).empty()) most = std::max(most, -5.0);
      if (below != Lexicon::root && scene.lexicon.words_at(below).empty()) most = std::max(most, 4.0);
    }
    EXPECT_EQ(graph.smear()[node], most) << node;
  }
}

TEST(WordGraph, EndingsSayWordAndSpelling) {
  const Scene scene({}, 1);
  for (Lexicon::Node node = 0; node < scene.lexicon.nodes(); ++node) {
    const auto [first, count] = scene.lexicon.endings(node);
    for (std::uint32_t i = first; i < first + count; ++i) {
      EXPECT_EQ(scene.lexicon.ending_node(i), node);
      EXPECT_EQ(scene.lexicon.ending_word(i), scene.lexicon.words_at(node)[i - first]);
    }
    const auto children = scene.lexicon.children(node);
    for (Lexicon::Node child = children.first; child < children.first + children.count; ++child)
      EXPECT_EQ(scene.lexicon.parent(child), node);
  }
}

TEST(WordGraph, AModelWithoutWeightIsNone) {
  const Scene scene({}, 1);
  const WordGraph graph(scene.lexicon, &scene.model, {.lm_weight = 0.0});
  EXPECT_EQ(graph.model(), nullptr);
  EXPECT_EQ(graph.word(graph.begin(), 0).score, 0.0);
  EXPECT_EQ(graph.end(graph.begin()), 0.0);
}

TEST(WordGraph, NamesTheWeightThatIsWrong) {
  const Scene scene({}, 1);
  const auto refusal = [&](const WordWeights& weights, const std::vector<Hotword>& hotwords = {}) -> std::string {
    try {
      const WordGraph graph(scene.lexicon, nullptr, weights, hotwords);
    } catch (const ValueError& error) {
      return error.what();
    }
    return "accepted";
  };
  const double nan = std::numeric_limits<double>::quiet_NaN();
  for (const double bad : {nan, inf, -inf, 1e7, -1.0, 1e-9})
    EXPECT_NE(refusal({.lm_weight = bad}).find("lm_weight is "), std::string::npos) << bad;
  for (const double bad : {nan, inf, -inf, 1e7, -1e7}) {
    EXPECT_NE(refusal({.word_bonus = bad}).find("word_bonus is "), std::string::npos) << bad;
    EXPECT_NE(refusal({.silence_score = bad}).find("silence_score is "), std::string::npos) << bad;
    EXPECT_NE(refusal({}, {{"w1", bad}}).find("the hotword 'w1'"), std::string::npos) << bad;
  }
  for (const double bad : {nan, inf, 1e7})
    EXPECT_NE(refusal({.unknown_score = bad}).find("unknown_score is "), std::string::npos) << bad;
  EXPECT_NE(refusal({}, {{"absent", 1.0}}).find("the hotword 'absent' is no word"), std::string::npos);
  EXPECT_EQ(refusal({.unknown_score = -inf}, {{"w1", 1.0}, {"w1", -2.0}}), "accepted");
}

}  // namespace
}  // namespace mpp::speech

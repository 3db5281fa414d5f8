#include <mpp/speech/language_model.hpp>

#include <gtest/gtest.h>

#include <functional>
#include <map>
#include <random>
#include <string>
#include <vector>

#include "domains/speech/random_arpa.hpp"
#include "fuzz/arpa_property.hpp"
#include "reference/arpa_reference.hpp"

namespace mpp::speech {
namespace {

using namespace mpp::test;
using State = NgramModel::State;
using Words = ArpaReference::Words;
using Step = std::function<NgramModel::Scored(const NgramModel&, State, WordId)>;

constexpr double inf = std::numeric_limits<double>::infinity();
const double ln10 = std::log(10.0);

struct Walks {
  std::size_t steps = 0, disagreements = 0;
};

// Random words, from <s> or from nothing, over random models of every shape: each step against the textbook.
Walks walk(const Step& step) {
  Walks walks;
  std::mt19937_64 random(11);
  for (const ArpaShape& shape : arpa_shapes())
    for (std::uint64_t seed = 0; seed < 40; ++seed) {
      const RandomArpa arpa(shape, seed);
      const NgramModel model = model_of(arpa.text());
      const ArpaReference reference(arpa.text());
      Words words = words_of(shape);
      words.push_back("not in the model");
      Words history;
      State state = model.empty();
      for (int i = 0; i < 250; ++i, ++walks.steps) {
        if (random() % 16 == 0) {
          history = random() % 2 == 0 ? Words{} : Words{"<s>"};
          state = history.empty() ? model.empty() : model.begin();
        }
        const std::string& word = words[random() % words.size()];
        const auto [log_prob, next] = step(model, state, model.id(word));
        if (!agrees(log_prob, reference.score(history, word), shape.order)) ++walks.disagreements;
        history.push_back(word);
        state = next;
      }
    }
  return walks;
}

TEST(NgramModel, ScoresWalksAsTheTextbookDoes) {
  const Walks walks = walk([](const NgramModel& model, State s, WordId w) { return model.score(s, w); });
  EXPECT_GE(walks.steps, 100000U);
  EXPECT_EQ(walks.disagreements, 0U);
}

TEST(NgramModel, TheTestAboveCatchesALostBackoffAndAStateOneWordTooShort) {
  const Walks lost = walk([](const NgramModel& model, State s, WordId w) {
    NgramModel::Scored scored = model.score(s, w);
    const auto state = static_cast<std::uint32_t>(s), word = static_cast<std::uint32_t>(w);
    if (state != 0 && model.tables().arc(state, word) == NgramTables::none)
      scored.log_prob -= model.tables().backoff[state];
    return scored;
  });
  EXPECT_GT(lost.disagreements, lost.steps / 100);
  const Walks cut = walk([](const NgramModel& model, State s, WordId w) {
    NgramModel::Scored scored = model.score(s, w);
    scored.next = State{model.tables().shorter[static_cast<std::uint32_t>(scored.next)]};
    return scored;
  });
  EXPECT_GT(cut.disagreements, cut.steps / 100);
}

void each_history(const Words& words, std::size_t longest, const std::function<void(const Words&)>& visit) {
  std::vector<Words> level{{}};
  for (std::size_t n = 0;; ++n) {
    for (const Words& history : level) visit(history);
    if (n == longest) return;
    std::vector<Words> next;
    for (const Words& history : level)
      for (const std::string& word : words) {
        next.push_back(history);
        next.back().push_back(word);
      }
    level = std::move(next);
  }
}

State state_after(const NgramModel& model, const Words& history) {
  State state = model.empty();
  for (const std::string& word : history) state = model.score(state, model.id(word)).next;
  return state;
}

// How many histories score some word unlike the first history with the same key. All histories up to `order` words.
template <class Key>
std::size_t mixed(const ArpaShape& shape, std::uint64_t seed, const Key& key_of) {
  const RandomArpa arpa(shape, seed);
  const NgramModel model = model_of(arpa.text());
  const ArpaReference reference(arpa.text());
  const Words words = words_of(shape);
  std::map<decltype(key_of(model, reference, Words{})), std::vector<double>> scores_of;
  std::size_t count = 0;
  each_history(words, shape.order, [&](const Words& history) {
    std::vector<double> scores;
    for (const std::string& word : words) scores.push_back(reference.score(history, word).log_prob);
    const auto [at, first] = scores_of.try_emplace(key_of(model, reference, history), scores);
    for (std::size_t i = 0; i < words.size(); ++i)
      if (at->second[i] != scores[i] && !(std::abs(at->second[i] - scores[i]) <= 1e-9)) {
        ++count;
        break;
      }
  });
  return count;
}

TEST(NgramModel, EqualStatesScoreEveryContinuationEqually) {
  for (const ArpaShape& shape : arpa_shapes())
    for (std::uint64_t seed = 100; seed < 104; ++seed)
      EXPECT_EQ(
          mixed(shape, seed, [](const auto& model, const auto&, const Words& h) { return state_after(model, h); }), 0U)
          << shape.order << " " << seed;
}

TEST(NgramModel, TheTestAboveCatchesStatesOfTruncatedContexts) {
  const auto truncated = [](const auto&, const ArpaReference& reference, const Words& history) {
    Words context = reference.context(history);
    if (context.size() == reference.order() - 1 && !context.empty()) context.erase(context.begin());
    return context;
  };
  for (const ArpaShape& shape : arpa_shapes()) {
    if (shape.order == 1 || shape.density < 0.2) continue;
    std::size_t count = 0;
    for (std::uint64_t seed = 100; seed < 104; ++seed) count += mixed(shape, seed, truncated);
    EXPECT_GT(count, 10U) << shape.order << (shape.holes ? " with holes" : "");
  }
}

TEST(NgramModel, StatesAreTheMinimalContextsOneForOne) {
  for (const ArpaShape& shape : arpa_shapes())
    for (std::uint64_t seed = 200; seed < 204; ++seed) {
      const RandomArpa arpa(shape, seed);
      const NgramModel model = model_of(arpa.text());
      const ArpaReference reference(arpa.text());
      std::map<Words, State> state_of;
      std::map<State, Words> context_of;
      each_history(words_of(shape), shape.order, [&](const Words& history) {
        const Words context = reference.context(history);
        const State state = state_after(model, history);
        EXPECT_EQ(state_of.try_emplace(context, state).first->second, state);
        EXPECT_EQ(context_of.try_emplace(state, context).first->second, context);
      });
      EXPECT_LE(state_of.size(), model.states());
    }
}

TEST(NgramModel, GivesTheValuesWorkedOutByHand) {
  const NgramModel model = model_of(std::string(small_arpa));
  const WordId a = model.id("a"), b = model.id("b");
  const auto [first, after_a] = model.score(model.begin(), a);  // listed: <s> a
  EXPECT_NEAR(first, -0.25 * ln10, 1e-6);
  EXPECT_NEAR(model.score(after_a, a).log_prob, (-0.5 + 0.125 - 0.5) * ln10, 1e-6);  // backoffs of <s> a and of a
  const auto [third, after_ab] = model.score(after_a, b);                            // listed: <s> a b
  EXPECT_NEAR(third, -0.1 * ln10, 1e-6);
  EXPECT_NEAR(model.end(after_ab), -0.125 * ln10, 1e-6);  // a b has no effect, so the context is b: listed b </s>
  EXPECT_EQ(after_ab, state_after(model, {"b"}));
  EXPECT_NEAR(model.score(model.begin(), model.id("zebra")).log_prob, (-0.25 - 1.5) * ln10, 1e-6);
  EXPECT_NEAR(model.end(state_after(model, {"b", "b"})), -0.2 * ln10, 1e-6);  // listed, although b b is not
  EXPECT_NEAR(model.score(state_after(model, {"b", "b"}), b).log_prob, (-0.5 - 0.75) * ln10, 1e-6);
  EXPECT_EQ(model.order(), 3U);
  EXPECT_EQ(model.words(), 5U);
  EXPECT_EQ(model.ngrams(2), 4U);
  EXPECT_EQ(model.text(b), "b");
}

TEST(NgramModel, AWordItDoesNotKnowIsUnk) {
  const std::string arpa = "\\data\\\nngram 1=2\n\\1-grams:\n-1 <s>\n-0.5 </s>\n\\end\\\n";
  EXPECT_EQ(model_of(arpa).score(State{0}, model_of(arpa).id("zebra")).log_prob, -inf);
  const NgramModel given = model_of(arpa, {.missing_unknown_log_prob = -7.5});
  EXPECT_EQ(given.score(given.begin(), given.id("zebra")).log_prob, -7.5);
  EXPECT_EQ(given.text(given.unknown_word()), "<unk>");
  EXPECT_EQ(given.words(), 3U);
  EXPECT_EQ(given.ngrams(1), 2U);
  for (const double bad : {0.5, inf, std::nan("")})
    EXPECT_THROW((void)model_of(arpa, {.missing_unknown_log_prob = bad}), ValueError);
  const NgramModel upper_case = model_of("\\data\\\nngram 1=3\n\\1-grams:\n-1 <s>\n-1 </s>\n-2 <UNK>\n\\end\\\n");
  EXPECT_EQ(upper_case.text(upper_case.id("zebra")), "<UNK>");
}

TEST(NgramModel, TakesTheSpellingsOfOtherTools) {
  const NgramModel model = model_of(
      "made by a tool\r\n\\data\\\r\nngram  1 =  3\r\nngram 2=0\r\n\r\n\\1-grams: \r\n-1 <s>   -0.5\r\n\r\n-2\t</s>\t "
      "\r\n"
      "  -1 \xC3\xA4\xC2\xA0z -0.0\r\n\\2-grams:\r\n\\end\\\r\nwhatever follows");
  EXPECT_EQ(model.words(), 4U);
  EXPECT_EQ(model.order(), 2U);
  EXPECT_EQ(model.states(), 2U);  // nothing and <s>, which has a backoff
  EXPECT_NEAR(model.score(model.begin(), model.id("\xC3\xA4\xC2\xA0z")).log_prob, -1.5 * ln10, 1e-6);
  EXPECT_EQ(model.score(model.begin(), model.end_word()).next, model.empty());
}

TEST(NgramModel, ReportsTheBytesOfItsTables) {
  const NgramModel model = model_of(RandomArpa({.order = 3, .words = 8}, 1).text());
  const NgramTables& t = model.tables();
  const std::size_t values = t.unigram.size() + 3 * t.arc_word.size() + 3 * t.states() + 1;
  EXPECT_GE(model.resident()[MemorySpace::host].count, 4 * values);
  EXPECT_LE(model.resident().total().count, 4 * values + 2048);
}

}  // namespace
}  // namespace mpp::speech

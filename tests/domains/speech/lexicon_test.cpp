#include <mpp/speech/lexicon.hpp>

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <map>
#include <random>
#include <set>
#include <string>
#include <vector>

#include <mpp/core/error.hpp>

namespace mpp::speech {
namespace {

using Path = std::vector<Token>;
using Trie = std::map<Path, std::set<Lexicon::Word>>;  // every prefix, and the words that end there
constexpr double inf = std::numeric_limits<double>::infinity();

struct RandomLexicon {
  std::vector<std::string> words;
  Spellings spellings;
  Trie trie{{{}, {}}};

  // Few tokens and short spellings, so that prefixes, homophones, several spellings and repetitions are common.
  RandomLexicon(std::size_t size, std::uint64_t seed) {
    std::mt19937_64 random(seed);
    std::map<std::string, Lexicon::Word> word_of;
    for (std::size_t i = 0; i < size; ++i) {
      words.push_back("w" + std::to_string(random() % (size + 1)));
      Path spelling;
      for (std::size_t n = 1 + random() % 6; n > 0; --n) spelling.push_back(static_cast<Token>(random() % 3 * 1000));
      spellings.add(spelling);
      const auto word = word_of.try_emplace(words.back(), static_cast<Lexicon::Word>(word_of.size())).first->second;
      trie[spelling].insert(word);
      for (Path prefix = spelling; !prefix.empty(); prefix.pop_back()) trie[prefix];
    }
  }
};

void each_node(const Lexicon& lexicon, const std::function<void(Lexicon::Node, const Path&)>& visit) {
  std::vector<Path> paths(lexicon.nodes());
  for (Lexicon::Node node = 0; node < lexicon.nodes(); ++node) {
    visit(node, paths[node]);
    const auto [first, count] = lexicon.children(node);
    for (Lexicon::Node child = first; child < first + count; ++child) {
      ASSERT_GT(child, node);
      ASSERT_LT(child, lexicon.nodes());
      paths[child] = paths[node];
      paths[child].push_back(lexicon.token(child));
    }
  }
}

TEST(Lexicon, IsTheTrieOfItsSpellings) {
  for (std::uint64_t seed = 0; seed < 300; ++seed) {
    const RandomLexicon random(seed % 60, seed);
    const Lexicon lexicon = Lexicon::build(random.words, random.spellings);
    Trie built;
    std::size_t depth = 0;
    each_node(lexicon, [&](Lexicon::Node node, const Path& path) {
      ASSERT_GE(path.size(), depth) << "breadth first";
      depth = path.size();
      const auto words = lexicon.words_at(node);
      ASSERT_TRUE(std::ranges::is_sorted(words));
      ASSERT_EQ(std::ranges::adjacent_find(words), words.end());
      ASSERT_TRUE(built.try_emplace(path, words.begin(), words.end()).second) << "two nodes with one path";
      const auto [first, count] = lexicon.children(node);
      for (Lexicon::Node child = first; child + 1 < first + count; ++child)
        ASSERT_LT(lexicon.token(child), lexicon.token(child + 1));
      for (const Token token : {0U, 1U, 1000U, 2000U, 2001U}) {
        Path longer = path;
        longer.push_back(token);
        const auto child = lexicon.child(node, token);
        ASSERT_EQ(child.has_value(), random.trie.contains(longer));
        ASSERT_EQ(child ? lexicon.token(*child) : token, token);
      }
    });
    ASSERT_EQ(built, random.trie);
    for (const std::string& word : random.words) ASSERT_EQ(lexicon.text(lexicon.find(word).value()), word);
  }
}

TEST(Lexicon, OfNoWordsIsARoot) {
  const Lexicon lexicon = Lexicon::build({}, {});
  EXPECT_EQ(lexicon.nodes(), 1U);
  EXPECT_EQ(lexicon.words(), 0U);
  EXPECT_EQ(lexicon.tokens(), 0U);
  EXPECT_EQ(lexicon.children(Lexicon::root).count, 0U);
  EXPECT_FALSE(lexicon.find("a"));
  EXPECT_EQ(smear(lexicon, {}), std::vector<float>{-std::numeric_limits<float>::infinity()});
}

TEST(Lexicon, RefusesWordsWithoutASpelling) {
  const std::vector<std::string> words{"a", "b"};
  Spellings one, empty;
  one.add(Path{1});
  empty.add(Path{1});
  empty.add(Path{});
  EXPECT_THROW((void)Lexicon::build(words, one), ShapeError);
  try {
    (void)Lexicon::build(words, empty);
    FAIL();
  } catch (const ValueError& error) {
    EXPECT_STREQ(error.what(), "Lexicon::build: the word 'b' (words[1]) has an empty spelling");
  }
  EXPECT_THROW((void)Lexicon::build(std::vector<std::string>{""}, one), ValueError);
}

TEST(Lexicon, ReportsItsBytes) {
  const RandomLexicon random(500, 1);
  const Lexicon lexicon = Lexicon::build(random.words, random.spellings);
  EXPECT_EQ(lexicon.tokens(), 2001U);
  EXPECT_GE(lexicon.resident()[MemorySpace::host].count, 8 * lexicon.nodes() + 4 * lexicon.words());
  EXPECT_LE(lexicon.resident().total().count, 8 * lexicon.nodes() + 40 * 500);
}

// Nodes where the smear, after `change`, is not the smallest float above the best word below.
std::size_t wrong_smears(const std::function<float(float, double)>& change) {
  std::size_t wrong = 0;
  std::mt19937_64 random(5);
  for (std::uint64_t seed = 0; seed < 100; ++seed) {
    const RandomLexicon sample(1 + seed % 60, seed);
    const Lexicon lexicon = Lexicon::build(sample.words, sample.spellings);
    std::vector<double> weight(lexicon.words());
    for (double& w : weight) w = random() % 16 == 0 ? -inf : std::normal_distribution<>(0, 10)(random);
    const std::vector<float> largest = smear(lexicon, weight);
    each_node(lexicon, [&](Lexicon::Node node, const Path& path) {
      double best = -inf;
      for (const auto& [spelling, words] : sample.trie)
        if (spelling.size() >= path.size() && std::equal(path.begin(), path.end(), spelling.begin()))
          for (const Lexicon::Word word : words) best = std::max(best, weight[word]);
      const float bound = change(largest[node], best);
      const bool tight = std::isinf(best) || std::nextafter(bound, -HUGE_VALF) < best;
      if (!(bound >= best) || !tight) ++wrong;
    });
  }
  return wrong;
}

TEST(Smear, IsTheBestWordBelowRoundedUp) {
  EXPECT_EQ(wrong_smears([](float bound, double) { return bound; }), 0U);
}
TEST(Smear, TheTestAboveCatchesRoundingToNearest) {
  EXPECT_GT(wrong_smears([](float, double best) { return static_cast<float>(best); }), 100U);
}

TEST(Smear, TakesExtremesAndRefusesWhatIsNoWeight) {
  Spellings spellings;
  spellings.add(Path{0});
  const Lexicon lexicon = Lexicon::build(std::vector<std::string>{"a"}, spellings);
  const auto root_of = [&](double weight) { return smear(lexicon, std::vector{weight})[0]; };
  constexpr double largest = std::numeric_limits<float>::max();
  EXPECT_EQ(root_of(largest), std::numeric_limits<float>::max());
  EXPECT_EQ(root_of(-1e300), std::numeric_limits<float>::lowest());
  EXPECT_EQ(root_of(-inf), -std::numeric_limits<float>::infinity());
  EXPECT_EQ(root_of(1e-300), std::numeric_limits<float>::denorm_min());
  for (const double bad : {std::nan(""), inf, largest * 1.01}) EXPECT_THROW((void)root_of(bad), ValueError);
  EXPECT_THROW((void)smear(lexicon, {}), ShapeError);
}

}  // namespace
}  // namespace mpp::speech

// On the files of flashlight/text: speech/lm.arpa and speech/words.lst below MPP_DATA_DIR.
#include <gtest/gtest.h>

#include <fstream>
#include <random>
#include <sstream>
#include <string>
#include <vector>

#include <mpp/speech/language_model.hpp>
#include <mpp/speech/lexicon.hpp>
#include <mpp/speech/word_bounds.hpp>

#include "domains/speech/libri_sentence.hpp"
#include "reference/arpa_reference.hpp"

namespace mpp::speech {
namespace {

using namespace mpp::test;

class RealLanguageModel : public testing::Test {
 protected:
  void SetUp() override {
    for (const char* file : {"speech/lm.arpa", "speech/words.lst"})
      if (!std::filesystem::exists(shared_data(file))) GTEST_SKIP() << shared_data(file) << " is not there";
  }
  static NgramModel model() { return NgramModel::read_arpa(shared_data("speech/lm.arpa")); }
};

TEST_F(RealLanguageModel, HoldsWhatTheFileAnnounces) {
  const NgramModel model = RealLanguageModel::model();
  EXPECT_EQ(model.order(), 3U);
  EXPECT_EQ(model.ngrams(1), 200003U);
  EXPECT_EQ(model.ngrams(2), 433U);
  EXPECT_EQ(model.ngrams(3), 17U);
  EXPECT_EQ(model.words(), 200003U);
  EXPECT_LE(model.resident().total().count, 5U << 20);
  RecordProperty("states", static_cast<int>(model.states()));
  RecordProperty("bytes", static_cast<int>(model.resident().total().count));
}

TEST_F(RealLanguageModel, ScoresSentencesAsTheTextbookDoes) {
  const NgramModel model = RealLanguageModel::model();
  std::ostringstream text;
  text << std::ifstream(shared_data("speech/lm.arpa")).rdbuf();
  const ArpaReference reference(text.str());
  std::vector<std::string> sentences{
      "i have a good deal of will you remember and what i have set my mind upon no doubt i shall some day achieve",
      "the antique bric a brac as well as et cetera et cetera", "zebra crossing qqqq in the middle of the night", ""};
  // And random text over the words of the listed bigrams, which back off and match in every way.
  std::mt19937_64 random(1);
  const NgramTables& tables = model.tables();
  for (int i = 0; i < 200; ++i) {
    sentences.emplace_back();
    for (int n = 0; n < 20; ++n)
      sentences.back() += std::string(model.text(WordId{tables.arc_word[random() % tables.arc_word.size()]})) + " ";
  }
  for (const std::string& sentence : sentences) {
    ArpaReference::Words history{"<s>"};
    NgramModel::State state = model.begin();
    std::istringstream words(sentence + " </s>");
    for (std::string word; words >> word; history.push_back(word)) {
      const auto [log_prob, next] = model.score(state, model.id(word));
      EXPECT_TRUE(agrees(log_prob, reference.score(history, word), 3)) << sentence << ": " << word;
      state = next;
    }
  }
}

TEST_F(RealLanguageModel, BoundsHoldAndAreAttainedBecauseNoBackoffIsPositive) {
  const NgramModel model = RealLanguageModel::model();
  const WordBounds bounds(model);
  for (std::uint32_t w = 0; w < model.words(); w += w < 1000 ? 1 : 97) {
    double best = -std::numeric_limits<double>::infinity();
    for (std::uint32_t s = 0; s < model.states(); ++s)
      best = std::max(best, model.score(NgramModel::State{s}, WordId{w}).log_prob);
    ASSERT_GE(bounds.upper(WordId{w}), best);
    ASSERT_LT(std::nextafter(bounds.upper(WordId{w}), -HUGE_VALF), best);
  }
}

TEST_F(RealLanguageModel, EveryWordOfTheLexiconIsSpelledAndSevenInEightAreInTheModel) {
  const Lexicon lexicon = libri_lexicon();
  EXPECT_EQ(lexicon.words(), 26709U);
  EXPECT_EQ(lexicon.nodes(), 91911U);
  const NgramModel model = RealLanguageModel::model();
  std::size_t unknown = 0;
  for (Lexicon::Word word = 0; word < lexicon.words(); ++word)
    unknown += model.id(lexicon.text(word)) == model.unknown_word() ? 1 : 0;
  EXPECT_EQ(unknown, 3359U);  // counted with comm(1) on the two files
  RecordProperty("lexicon_bytes", static_cast<int>(lexicon.resident().total().count));
}

}  // namespace
}  // namespace mpp::speech

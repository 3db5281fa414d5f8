// The committed commands: what examples/models/speech/commands.py wrote is what our readers read.
#include <cmath>
#include <filesystem>
#include <string>

#include <gtest/gtest.h>

#include <mpp/speech/emission_set.hpp>
#include <mpp/speech/language_model.hpp>
#include <mpp/speech/spelling.hpp>

#include "support/word_errors.hpp"

namespace mpp::examples {
namespace {

class CommandsTest : public testing::Test {
 protected:
  const std::filesystem::path folder_ = MPP_COMMANDS;
  const speech::EmissionSet set_ = speech::read_emission_set(folder_);
  const speech::NgramModel model_ = speech::NgramModel::read_arpa(folder_ / "lm.arpa");
  const speech::WordList list_ =
      speech::read_word_list(folder_ / "words.lst", set_.tokens, static_cast<speech::Token>(set_.separator));
};

TEST_F(CommandsTest, EveryConditionHasEveryUtterance) {
  EXPECT_GE(set_.conditions.size(), 4U);
  EXPECT_GE(set_.utterances.size(), 20U);
  for (std::size_t c = 0; c < set_.conditions.size(); ++c)
    for (std::size_t u = 0; u < set_.utterances.size(); ++u)
      EXPECT_NO_THROW(speech::check_normalised(set_.emissions(c, u)));
}

TEST_F(CommandsTest, EveryWordSaidIsListedAndKnownToTheModel) {
  for (const auto& utterance : set_.utterances)
    for (const std::string& word : words_of(utterance.text)) {
      EXPECT_NE(std::find(list_.words.begin(), list_.words.end(), word), list_.words.end()) << word;
      EXPECT_NE(model_.id(word), model_.unknown_word()) << word;
    }
}

// 10^x with x to four decimals: 76 words with a relative error of 1.2e-4 each, and backoffs as much again.
TEST_F(CommandsTest, TheModelIsADistributionAfterEveryContext) {
  ASSERT_EQ(model_.order(), 3U);
  EXPECT_GT(model_.ngrams(3), 100U);
  for (std::size_t s = 0; s < model_.states(); ++s) {
    const auto state = static_cast<speech::NgramModel::State>(s);
    double sum = std::exp(model_.end(state)) + std::exp(model_.score(state, model_.unknown_word()).log_prob);
    for (const std::string& word : list_.words) sum += std::exp(model_.score(state, model_.id(word)).log_prob);
    EXPECT_NEAR(sum, 1.0, 5e-4) << "state " << s;
  }
}

TEST_F(CommandsTest, TheModelPrefersWhatTheGrammarSays) {
  const auto score = [&](const std::string& sentence) {
    auto state = model_.begin();
    double sum = 0.0;
    for (const std::string& word : words_of(sentence)) {
      const auto scored = model_.score(state, model_.id(word));
      sum += scored.log_prob;
      state = scored.next;
    }
    return sum + model_.end(state);
  };
  EXPECT_GT(score("set a timer for two minutes"), score("set a timer four to minutes") + 2.0);
}

}  // namespace
}  // namespace mpp::examples

#pragma once
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include <mpp/speech/emissions.hpp>
#include <mpp/speech/language_model.hpp>
#include <mpp/speech/lexicon.hpp>

#include "support/shared_data.hpp"

namespace mpp::test {

/// Of speech/words.lst: letters, the apostrophe and the separator, which is token 0.
inline speech::Lexicon libri_lexicon() {
  std::vector<std::string> tokens{"|"};
  for (char c = 'a'; c <= 'z'; ++c) tokens.emplace_back(1, c);
  tokens.emplace_back("'");
  return speech::Lexicon::build(speech::read_word_list(shared_data("speech/words.lst"), tokens, 0));
}

/// A sentence of LibriSpeech, 26,709 words and a trigram model, from MPP_DATA_DIR; skipped without.
class LibriSentence : public testing::Test {
 protected:
  void SetUp() override {
    for (const char* file : {"speech/lm.arpa", "speech/words.lst", "speech/libri_logits.json"})
      if (!std::filesystem::exists(shared_data(file))) GTEST_SKIP() << shared_data(file) << " is not there";
    lexicon_.emplace(libri_lexicon());
    model_.emplace(speech::NgramModel::read_arpa(shared_data("speech/lm.arpa")));
    matrix_ = speech::log_softmax(speech::read_emissions_json(shared_data("speech/libri_logits.json")));
  }
  speech::Emissions emissions() const { return matrix_.view(matrix_.tokens - 1); }

  std::optional<speech::Lexicon> lexicon_;
  std::optional<speech::NgramModel> model_;
  speech::EmissionMatrix matrix_;
};

}  // namespace mpp::test

#pragma once
// The public emissions, word list and language model that bench_speech decodes, from MPP_DATA_DIR/speech.
#include <cstdlib>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include <mpp/speech/emissions.hpp>
#include <mpp/speech/language_model.hpp>
#include <mpp/speech/lexicon.hpp>
#include <mpp/speech/spelling.hpp>

namespace mpp::bench {

inline std::filesystem::path speech_folder() {
  const char* folder = std::getenv("MPP_DATA_DIR");
  return std::filesystem::path(folder != nullptr ? folder : "../shared/data") / "speech";
}

/// A LibriSpeech sentence (371 frames of 29 tokens), a handwritten word and a handwritten line (80 tokens); the blank is
/// the last token of each.
struct SpeechInputs {
  speech::EmissionMatrix libri, word, line;

  static std::optional<SpeechInputs> read(const std::filesystem::path& folder = speech_folder()) {
    using namespace speech;
    if (!std::filesystem::exists(folder / "libri_logits.json")) return std::nullopt;
    return SpeechInputs{log_softmax(read_emissions_json(folder / "libri_logits.json")),
                        log_softmax(read_emissions_csv(folder / "iam_word.csv")),
                        log_softmax(read_emissions_csv(folder / "iam_line.csv"))};
  }
};

inline speech::Emissions blank_last(const speech::EmissionMatrix& m) { return m.view(m.tokens - 1); }

/// Text of the tokens of the LibriSpeech emissions, as words.lst spells; the blank has none. Token 0 separates words.
inline std::vector<std::string> libri_tokens() {
  std::vector<std::string> tokens{"|"};
  for (char c = 'a'; c <= 'z'; ++c) tokens.emplace_back(1, c);
  tokens.emplace_back("'");
  return tokens;
}
inline constexpr speech::Token libri_separator = 0;

/// 26,709 words and an ARPA model of order 3.
struct SpeechLanguage {
  speech::Lexicon lexicon;
  speech::NgramModel model;

  static SpeechLanguage read(const std::filesystem::path& folder = speech_folder()) {
    using namespace speech;
    return {Lexicon::build(read_word_list(folder / "words.lst", libri_tokens(), libri_separator)),
            NgramModel::read_arpa(folder / "lm.arpa")};
  }
};

}  // namespace mpp::bench

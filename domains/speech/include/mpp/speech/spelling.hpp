#pragma once
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <istream>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace mpp::speech {

/// Index of an output of the acoustic model (a letter, a word piece), a column of the emissions.
using Token = std::uint32_t;

/// Token sequences, one after the other in one array.
class Spellings {
 public:
  void add(std::span<const Token> spelling) {
    tokens_.insert(tokens_.end(), spelling.begin(), spelling.end());
    first_.push_back(tokens_.size());
  }
  std::span<const Token> operator[](std::size_t i) const noexcept {
    return std::span(tokens_).subspan(first_[i], first_[i + 1] - first_[i]);
  }
  std::size_t size() const noexcept { return first_.size() - 1; }

 private:
  std::vector<Token> tokens_;
  std::vector<std::size_t> first_{0};
};

/// Spells words letter by letter: one token for every UTF-8 character of the word, then the separator.
///
///   spell(words, {"-", "|", "a", "b"}, 1)   "ab" -> 2 3 1
///
/// @param words      not empty each
/// @param tokens     text of each token; a token that is not one character is never used; of equal ones the first is
/// @param separator  appended to every word and never a letter of one; nullopt appends nothing
/// @throws ValueError naming the word and its first character without a token; or if separator is no token
[[nodiscard]] Spellings spell(std::span<const std::string> words, std::span<const std::string> tokens,
                              std::optional<Token> separator);

/// Words and how each is spelled; a word with two spellings is there twice.
struct WordList {
  std::vector<std::string> words;
  Spellings spellings;  ///< one per word
};

/// Reads one word per line: alone, then it is spelled as by spell(); or followed by its tokens (`you y o u |`), which
/// are taken as they are. Blank lines are skipped, spaces and tabs separate, a carriage return at the end is dropped.
/// The stream may be read beyond what is used.
/// @throws FormatError naming the line and the token, or the word and its first character without a token
[[nodiscard]] WordList read_word_list(std::istream& in, std::span<const std::string> tokens,
                                      std::optional<Token> separator);
[[nodiscard]] WordList read_word_list(const std::filesystem::path& path, std::span<const std::string> tokens,
                                      std::optional<Token> separator);

}  // namespace mpp::speech

#include <mpp/speech/spelling.hpp>

#include <array>
#include <string_view>
#include <unordered_map>

#include <mpp/core/error.hpp>

#include "line_reader.hpp"

namespace mpp::speech {
namespace {

// Bytes of the first UTF-8 character; 1 for a byte that begins none, so that a broken word is still cut into pieces.
std::size_t character_size(std::string_view text) noexcept {
  const auto lead = static_cast<unsigned char>(text.front());
  const std::size_t size = lead < 0xC0 ? 1 : lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : lead < 0xF8 ? 4 : 1;
  if (size > text.size()) return 1;
  for (std::size_t i = 1; i < size; ++i)
    if ((static_cast<unsigned char>(text[i]) & 0xC0) != 0x80) return 1;
  return size;
}

class Speller {
 public:
  Speller(std::span<const std::string> tokens, std::optional<Token> separator) : separator_(separator) {
    expects<ValueError>(!separator || *separator < tokens.size(), "spell: separator is ", separator.value_or(0),
                        ", expected a token below ", tokens.size());
    for (std::size_t i = 0; i < tokens.size(); ++i) token_.emplace(tokens[i], static_cast<Token>(i));
  }

  std::optional<Token> token(std::string_view text) const {
    const auto at = token_.find(text);
    return at != token_.end() ? std::optional(at->second) : std::nullopt;
  }

  // The spelling of a word in `out`. Returns what is wrong with the word, or nothing.
  std::string spell(std::string_view word, std::vector<Token>& out) const {
    out.clear();
    if (word.empty()) return "is empty";
    for (std::size_t at = 0; at < word.size();) {
      const std::string_view rest = word.substr(at);
      const std::string_view character = rest.substr(0, character_size(rest));
      const auto letter = token(character);
      if (!letter || letter == separator_)
        return text("cannot be spelled: the character ", printable(character), " at byte ", at,
                    letter ? " is the separator" : text(" is none of the ", token_.size(), " tokens"));
      out.push_back(*letter);
      at += character.size();
    }
    if (separator_) out.push_back(*separator_);
    return {};
  }

 private:
  std::unordered_map<std::string_view, Token> token_;
  std::optional<Token> separator_;
};

WordList read(LineReader lines, std::span<const std::string> tokens, std::optional<Token> separator) {
  const Speller speller(tokens, separator);
  WordList list;
  std::vector<Token> spelling;
  std::vector<std::string_view> fields(1);
  while (lines.next()) {
    const std::size_t count = split(lines.line(), fields);
    if (count == 0) continue;
    if (count > fields.size()) {
      fields.resize(count);
      split(lines.line(), fields);
    }
    if (count == 1) {
      const std::string wrong = speller.spell(fields[0], spelling);
      if (!wrong.empty()) lines.fail("the word ", printable(fields[0]), " ", wrong);
    } else {
      spelling.clear();
      for (std::size_t i = 1; i < count; ++i) {
        const auto token = speller.token(fields[i]);
        if (!token)
          lines.fail("the spelling of ", printable(fields[0]), " has ", printable(fields[i]), ", which is no token");
        spelling.push_back(*token);
      }
    }
    list.words.emplace_back(fields[0]);
    list.spellings.add(spelling);
  }
  return list;
}

}  // namespace

Spellings spell(std::span<const std::string> words, std::span<const std::string> tokens,
                std::optional<Token> separator) {
  const Speller speller(tokens, separator);
  Spellings spellings;
  std::vector<Token> spelling;
  for (std::size_t i = 0; i < words.size(); ++i) {
    const std::string wrong = speller.spell(words[i], spelling);
    expects<ValueError>(wrong.empty(), "spell: the word ", printable(words[i]), " (words[", i, "]) ", wrong);
    spellings.add(spelling);
  }
  return spellings;
}

WordList read_word_list(std::istream& in, std::span<const std::string> tokens, std::optional<Token> separator) {
  return read(LineReader(in, "read_word_list"), tokens, separator);
}

WordList read_word_list(const std::filesystem::path& path, std::span<const std::string> tokens,
                        std::optional<Token> separator) {
  std::ifstream in = open_file(path, "read_word_list");
  return read(LineReader(in, text("read_word_list: ", path.string())), tokens, separator);
}

}  // namespace mpp::speech

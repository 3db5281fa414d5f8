#include <mpp/speech/spelling.hpp>

#include <gtest/gtest.h>

#include <sstream>
#include <string>
#include <vector>

#include <mpp/core/error.hpp>

#include "support/message_of.hpp"
#include "support/temporary_folder.hpp"

namespace mpp::speech {
namespace {

using Path = std::vector<Token>;
const std::vector<std::string> tokens{"-", "|", "a", "b", "\xC3\xA4", "ab", "a"};  // of the two "a" the first counts

Path path_of(std::span<const Token> spelling) { return {spelling.begin(), spelling.end()}; }

Path spelled(const std::string& word, std::optional<Token> separator = 1) {
  return path_of(spell(std::vector{word}, tokens, separator)[0]);
}

TEST(Spell, IsOneTokenACharacterAndTheSeparator) {
  EXPECT_EQ(spelled("ab"), (Path{2, 3, 1}));
  EXPECT_EQ(spelled("b\xC3\xA4"
                    "b"),
            (Path{3, 4, 3, 1}));
  EXPECT_EQ(spelled("a-", std::nullopt), (Path{2, 0}));
  EXPECT_EQ(spelled("a|", std::nullopt), (Path{2, 1}));
}

TEST(Spell, NamesTheWordAndItsFirstBadCharacter) {
  const auto error = [](const std::string& word) { return test::message_of<ValueError>([&] { (void)spelled(word); }); };
  EXPECT_EQ(error("abcd"),
            "spell: the word 'abcd' (words[0]) cannot be spelled: the character 'c' at byte 2 is none of the 6 tokens");
  EXPECT_EQ(error("b\xC3\xB6"),
            "spell: the word 'b\xC3\xB6' (words[0]) cannot be spelled: the character '\xC3\xB6' at "
            "byte 1 is none of the 6 tokens");
  EXPECT_EQ(error("a|b"),
            "spell: the word 'a|b' (words[0]) cannot be spelled: the character '|' at byte 1 is the "
            "separator");
  EXPECT_EQ(error(""), "spell: the word '' (words[0]) is empty");
  EXPECT_NE(error("a\xC3"), "no error");  // cut in the middle of a character
  EXPECT_NE(error("\xC3"
                  "ab"),
            "no error");
  EXPECT_NE(error("\n").find("'\\x0a'"), std::string::npos);
  EXPECT_EQ(test::message_of<ValueError>([] { (void)spelled("a", 7); }),
            "spell: separator is 7, expected a token below 7");
}

WordList read(const std::string& text) {
  std::istringstream in(text);
  return read_word_list(in, tokens, 1);
}

TEST(ReadWordList, TakesWordsAloneAndWithTheirTokens) {
  const WordList list = read("ab\n\nab ab |\r\n  b\ta   b \nba");
  EXPECT_EQ(list.words, (std::vector<std::string>{"ab", "ab", "b", "ba"}));
  ASSERT_EQ(list.spellings.size(), 4U);
  EXPECT_EQ(path_of(list.spellings[0]), (Path{2, 3, 1}));
  EXPECT_EQ(path_of(list.spellings[1]), (Path{5, 1}));
  EXPECT_EQ(path_of(list.spellings[2]), (Path{2, 3}));
  EXPECT_EQ(path_of(list.spellings[3]), (Path{3, 2, 1}));
  EXPECT_TRUE(read("").words.empty());
}

TEST(ReadWordList, NamesTheLineThatItCannotTake) {
  const auto error = [](const std::string& text) { return test::message_of<FormatError>([&] { (void)read(text); }); };
  EXPECT_EQ(error("ab\nabc\n"),
            "read_word_list: line 2: the word 'abc' cannot be spelled: the character 'c' at byte 2 "
            "is none of the 6 tokens");
  EXPECT_EQ(error("ab a b x |\n"), "read_word_list: line 1: the spelling of 'ab' has 'x', which is no token");
  EXPECT_EQ(error("ab\n" + std::string(70000, 'a')), "read_word_list: line 2: longer than 65536 bytes");
  EXPECT_EQ(error("ab\n" + std::string(1 << 20, 'a')), "read_word_list: line 2: longer than 65536 bytes");
  EXPECT_EQ(error(std::string(65536, 'a') + "\n"), "no error");
  const test::TemporaryFolder folder;
  for (const std::filesystem::path& path : {folder / "missing", folder.path()})
    EXPECT_NE(test::message_of<FormatError>([&] { (void)read_word_list(path, tokens, 1); }).find(path.string()),
              std::string::npos);
}

}  // namespace
}  // namespace mpp::speech

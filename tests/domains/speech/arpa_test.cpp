#include <gtest/gtest.h>

#include <random>
#include <sstream>
#include <string>
#include <vector>

#include <mpp/speech/language_model.hpp>

#include "domains/speech/random_arpa.hpp"
#include "fuzz/arpa_property.hpp"
#include "support/temporary_folder.hpp"

namespace mpp::speech {
namespace {

using namespace mpp::test;

std::string error_of(const std::string& arpa) {
  try {
    (void)model_of(arpa);
  } catch (const FormatError& error) {
    return error.what();
  }
  return "no error";
}

// The small model with one piece replaced.
std::string with(std::string_view from, std::string_view to) {
  std::string arpa(small_arpa);
  const auto at = arpa.find(from);
  EXPECT_NE(at, std::string::npos) << from;
  return arpa.replace(at, from.size(), to);
}

TEST(ReadArpa, NamesTheLineWhatCameAndWhatWasExpected) {
  EXPECT_EQ(error_of(with("-0.5\ta b\t0", "-0.5\ta zebra")), "read_arpa: line 15: the word 'zebra' is no 1-gram");
  EXPECT_EQ(error_of(with("b a\n", "a b\n")), "read_arpa: line 16: this 2-gram is there twice, first on line 15");
  EXPECT_EQ(error_of(with("-0.75\tb", "-0.75\ta")), "read_arpa: line 11: the 1-gram 'a' is there twice");
  EXPECT_EQ(error_of(with("ngram 2=4", "ngram 2=5")),
            "read_arpa: line 19: the section above holds 4 2-grams, announced were 5");
  EXPECT_EQ(error_of(with("ngram 2=4", "ngram 2=3")), "read_arpa: line 17: one more 2-gram than the 3 announced");
  EXPECT_EQ(error_of(with("-0.5\ta b\t0", "0.5\ta b\t0")),
            "read_arpa: line 15: the probability is 10 to the 0.5, expected at most 1");
  EXPECT_EQ(error_of(with("-0.2\tb b", "nan\tb b")),
            "read_arpa: line 21: the probability is 'nan', expected a number, below 1e30 nats either way, or -inf");
  EXPECT_EQ(error_of(with("\\3-grams:", "\\4-grams:")), "read_arpa: line 19: came '\\4-grams:', expected \\3-grams:");
  EXPECT_EQ(error_of(with("\\end\\\n", "")),
            "read_arpa: line 23: the end of the file, expected 2 3-grams and then a "
            "line that begins with \\");
  EXPECT_EQ(error_of(""), "read_arpa: line 1: the end of the file, expected \\data\\");
  EXPECT_EQ(error_of("one\ntwo"), "read_arpa: line 3: the end of the file, expected \\data\\");
}

TEST(ReadArpa, RefusesBrokenModels) {
  const std::vector<std::string> broken{
      with("\\data\\", "\\date\\"),
      with("ngram 1=5\n", ""),
      with("ngram 1=5\n", "ngram 1=5\nngram 1=5\n"),
      with("ngram 2=4", "ngram 3=4"),
      with("ngram 2=4", "ngram 2=-4"),
      with("ngram 2=4", "ngram 2=4x"),
      with("ngram 2=4", "ngram 2="),
      with("ngram 2=4", "ngram two=4"),
      with("ngram 2=4", "ngram 2=99999999999999999999"),
      with("ngram 2=4", "ngram 2=18446744073709551615"),
      with("ngram 2=4", "ngram 2=4294967295"),  // would be too many to number
      with("ngram 2=4", "ngram 2=4000000000"),  // must not be allocated before it is read
      with("\\2-grams:\n", ""),
      with("\\2-grams:\n", "\\2-grams\n"),
      with("\\end\\", "\\END\\"),
      with("\t</s>\n", "\tthe\n"),
      with("\t<s>\t-0.25", "\tthe\t-0.25"),
      with("-0.5\ta\t0.125", "-0.5\ta\tnan"),
      with("-0.5\ta\t0.125", "-0.5\ta\tinf"),
      with("-0.5\ta\t0.125", "-0.5\ta\t1e31"),
      with("-0.5\ta\t0.125", "-0.5\ta\t1e999"),
      with("-0.5\ta\t0.125", "-0.5\ta\tx"),
      with("-0.5\ta\t0.125", "-0.5\ta\t0.125 1"),
      with("-0.5\ta\t0.125", "-0.5"),
      with("-0.5\ta\t0.125", "-0.5x a"),
      with("-0.5\ta\t0.125", "0x1p-3 a"),
      with("-0.5\ta\t0.125", "inf a"),
      with("-0.5\ta\t0.125", "-0.5\t" + std::string(70000, 'a')),
      with("-0.1\t<s> a b", "-0.1\t<s> a b -0.5"),  // nothing is longer, so nothing backs off
      with("-0.2\tb b </s>", "-0.1\t<s> a b"),
      std::string(1 << 20, 'x'),
      std::string(1000, '\0'),
  };
  for (const std::string& arpa : broken) {
    const std::string error = error_of(arpa);
    EXPECT_TRUE(error.starts_with("read_arpa: line ")) << error << "\n" << arpa.substr(0, 400);
    EXPECT_LT(error.size(), 250U);
  }
  std::string seven = "\\data\\\n";
  for (int n = 1; n <= 7; ++n) seven += "ngram " + std::to_string(n) + "=1\n";
  EXPECT_EQ(error_of(seven), "read_arpa: line 8: order 7, expected at most 6");
}

TEST(ReadArpa, TakesModelsUpToOrderSix) {
  std::string arpa =
      "\\data\\\nngram 1=3\nngram 2=0\nngram 3=0\nngram 4=0\nngram 5=0\nngram 6=1\n"
      "\\1-grams:\n-1 <s>\n-1 </s>\n-1 a -0.5\n"
      "\\2-grams:\n\\3-grams:\n\\4-grams:\n\\5-grams:\n\\6-grams:\n-0.25 a a a a a </s>\n\\end\\";
  const NgramModel model = model_of(arpa);
  EXPECT_EQ(model.states(), 6U);  // nothing, a, a a, ..., a a a a a
  EXPECT_TRUE(refused_or_agrees(arpa));
}

TEST(ReadArpa, EveryTruncationIsRefusedOrTheSameModel) {
  for (std::size_t n = 0; n + 1 < small_arpa.size(); ++n)  // only the line feed after \end\ may be missing
    EXPECT_NE(error_of(std::string(small_arpa.substr(0, n))), "no error") << n;
  EXPECT_EQ(error_of(std::string(small_arpa.substr(0, small_arpa.size() - 1))), "no error");
}

TEST(ReadArpa, EveryChangedByteIsRefusedOrScoredAsItStands) {
  for (std::size_t at = 0; at < small_arpa.size(); ++at)
    for (const char c : {'\0', '\n', '\r', ' ', '\t', '\\', '-', '.', '0', '9', 'a', 'e', '\x80', '\xff'}) {
      std::string arpa(small_arpa);
      arpa[at] = c;
      EXPECT_TRUE(refused_or_agrees(arpa)) << at << " " << int{c};
    }
}

TEST(ReadArpa, RandomEditsOfRandomModelsAreRefusedOrScoredAsTheyStand) {
  std::mt19937_64 random(3);
  for (std::uint64_t seed = 0; seed < 3000; ++seed) {
    std::string arpa = RandomArpa({.order = 1 + seed % 4, .words = 2, .density = 0.15}, seed).text();
    for (std::size_t edits = random() % 4; edits > 0; --edits) {
      const std::size_t at = random() % arpa.size(), from = random() % arpa.size();
      if (random() % 3 == 0)
        arpa.erase(at, random() % 8);
      else
        arpa.replace(at, random() % 8, arpa.substr(from, random() % 8));
    }
    EXPECT_TRUE(refused_or_agrees(arpa)) << arpa;
  }
}

// Blocks of the line reader are 256 KiB: lines must survive being cut at any place.
TEST(ReadArpa, LinesMayLieAcrossBlocks) {
  std::ostringstream arpa;
  arpa << "\\data\\\nngram 1=40002\n\\1-grams:\n-1 <s>\n-1 </s>\n";
  for (int i = 0; i < 40000; ++i)
    arpa << "-" << i % 7 << ".5\t" << std::string(static_cast<std::size_t>(i % 13), 'x') << i << "\n";
  arpa << "\\end\\\n";
  const NgramModel model = model_of(arpa.str());
  for (std::uint32_t i = 0; i < 40000; ++i) {
    const WordId word = model.id(std::string(i % 13, 'x') + std::to_string(i));
    ASSERT_EQ(word, WordId{i + 2});
    ASSERT_EQ(model.tables().unigram[i + 2], static_cast<float>(-(i % 7 + 0.5) * std::log(10.0)));
  }
}

TEST(ReadArpa, NamesTheFileItCannotRead) {
  const TemporaryFolder folder;
  for (const std::filesystem::path& path : {folder / "missing.arpa", folder.path()}) {
    try {
      (void)NgramModel::read_arpa(path);
      ADD_FAILURE() << path;
    } catch (const FormatError& error) {
      EXPECT_NE(std::string(error.what()).find(path.string()), std::string::npos) << error.what();
    }
  }
  std::istringstream failed;
  failed.setstate(std::ios::badbit);
  EXPECT_THROW((void)NgramModel::read_arpa(failed), FormatError);
}

}  // namespace
}  // namespace mpp::speech

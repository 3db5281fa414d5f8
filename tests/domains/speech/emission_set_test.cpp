#include <gtest/gtest.h>

#include <cmath>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include <mpp/core/error.hpp>
#include <mpp/speech/emission_set.hpp>

#include "support/temporary_folder.hpp"

namespace mpp::speech {
namespace {

const std::string index = R"({"tokens": ["_", "|", "a", "b"], "blank": 0, "separator": 1, "frame_ms": 30, "about": "x",
  "conditions": [{"name": "clean", "file": "clean.csv"}, {"name": "0 dB", "file": "0_dB.csv"}],
  "utterances": [{"text": "ab a", "frames": 2}, {"text": "b", "frames": 1}]})";

/// `index` with `from` replaced by `to`.
std::string changed(const std::string& from, const std::string& to) {
  std::string out = index;
  const std::size_t at = out.find(from);
  EXPECT_NE(at, std::string::npos) << from;
  return out.replace(at, from.size(), to);
}

std::string refusal(const std::string& set) {
  std::istringstream in(set);
  try {
    (void)read_emission_set_index(in);
  } catch (const FormatError& e) {
    return e.what();
  }
  return "nothing was thrown";
}

class EmissionSetTest : public testing::Test {
 protected:
  void write(const char* name, const std::string& bytes) const {
    std::ofstream(folder_ / name, std::ios::binary) << bytes;
  }
  std::string refusal_of_folder() const {
    try {
      (void)read_emission_set(folder_.path());
    } catch (const FormatError& e) {
      return e.what();
    }
    return "nothing was thrown";
  }
  test::TemporaryFolder folder_;
};

TEST_F(EmissionSetTest, GivesEveryUtteranceItsRowsNormalised) {
  write("set.json", index);
  write("clean.csv", "0;-1;-2;-3\n0;-4;-5;-6\n-7;-8;-9;0\n");
  write("0_dB.csv", "0;0;0;0\n0;0;0;0\n0;-1;0;0\n");
  const EmissionSet set = read_emission_set(folder_.path());
  EXPECT_EQ(set.frame_ms, 30U);
  ASSERT_EQ(set.utterances.size(), 2U);
  ASSERT_EQ(set.conditions.size(), 2U);
  EXPECT_EQ(set.conditions[1].name, "0 dB");
  const Emissions first = set.emissions(0, 0), second = set.emissions(0, 1);
  for (const Emissions& e : {first, second, set.emissions(1, 0), set.emissions(1, 1)})
    EXPECT_NO_THROW(check_normalised(e));
  EXPECT_EQ(first.frames, 2U);
  EXPECT_EQ(second.frames, 1U);
  EXPECT_NEAR(first.row(1)[0] - first.row(1)[3], 6.0, 1e-6);  // differences stay what they were
  EXPECT_NEAR(second.row(0)[3] - second.row(0)[0], 7.0, 1e-6);
  EXPECT_NEAR(set.emissions(1, 0).row(0)[2], std::log(0.25), 1e-6);
}

TEST_F(EmissionSetTest, TextReadsTheSeparatorAsASpace) {
  std::istringstream in(index);
  const EmissionSet set = read_emission_set_index(in);
  EXPECT_EQ(set.text(std::vector<std::uint32_t>{2, 3, 1, 2, 1}), "ab a");
  EXPECT_EQ(set.text({}), "");
}

TEST_F(EmissionSetTest, RefusesFilesThatDoNotFit) {
  EXPECT_NE(refusal_of_folder().find("set.json"), std::string::npos);
  write("set.json", index);
  EXPECT_NE(refusal_of_folder().find("clean.csv"), std::string::npos);
  write("clean.csv", "0;-1;-2;-3\n0;-4;-5;-6\n");
  EXPECT_NE(refusal_of_folder().find("'clean.csv' has 2 x 4 values, expected frames x tokens = 3 x 4"),
            std::string::npos);
  write("clean.csv", "0;-1;-2\n0;-4;-5\n0;-4;-5\n");
  EXPECT_NE(refusal_of_folder().find("3 x 3 values"), std::string::npos);
}

TEST(EmissionSetIndex, NamesTheMemberThatIsWrong) {
  EXPECT_NE(refusal("[").find("not JSON"), std::string::npos);
  EXPECT_NE(refusal("[]").find("no \"tokens\""), std::string::npos);
  EXPECT_NE(refusal(changed("\"blank\": 0", "\"blank\": 4")).find("\"blank\" is 4, expected 0 to 3"),
            std::string::npos);
  EXPECT_NE(refusal(changed("\"separator\": 1", "\"separator\": -1")).find("\"separator\""), std::string::npos);
  EXPECT_NE(refusal(changed("\"separator\": 1", "\"separator\": 1.0")).find("\"separator\""), std::string::npos);
  EXPECT_NE(refusal(changed("30", "0")).find("\"frame_ms\" is 0"), std::string::npos);
  EXPECT_NE(refusal(changed("\"a\"", "2")).find("a token is a number"), std::string::npos);
  EXPECT_NE(refusal(changed(R"(["_", "|", "a", "b"])", "[]")).find("\"tokens\" is empty"), std::string::npos);
  EXPECT_NE(refusal(changed("\"frames\": 1", "\"frames\": 0")).find("\"frames\" is 0"), std::string::npos);
  EXPECT_NE(refusal(changed("\"text\": \"b\", ", "")).find("no \"text\""), std::string::npos);
  EXPECT_NE(refusal(changed("\"name\": \"0 dB\", ", "")).find("no \"name\""), std::string::npos);
}

TEST(EmissionSetIndex, FramesCannotOverflow) {
  EXPECT_NE(refusal(changed("\"frames\": 2", "\"frames\": 18446744073709551615")).find("\"frames\""),
            std::string::npos);
  EXPECT_NE(refusal(changed("\"frames\": 2", "\"frames\": 2147483647")).find("\"frames\" is 1, expected 1 to 0"),
            std::string::npos);
}

TEST(EmissionSetIndex, OpensNoFileOutsideItsFolder) {
  for (const char* name : {"../clean.csv", "/etc/passwd", "", ".", "..", "a/b", "clean\\u0000.csv"})
    EXPECT_NE(refusal(changed("clean.csv", name)).find("expected a name without a folder"), std::string::npos) << name;
}

}  // namespace
}  // namespace mpp::speech

#include "support/speech_run.hpp"

#include <limits>

#include <gtest/gtest.h>

#include "support/word_errors.hpp"

namespace mpp::examples {
namespace {

TEST(WordErrors, AreTheFewestEdits) {
  EXPECT_EQ(word_errors("turn on the light", "turn on the light"), 0U);
  EXPECT_EQ(word_errors("turn on the light", "turn off light"), 2U);
  EXPECT_EQ(word_errors("", "a b"), 2U);
  EXPECT_EQ(word_errors("a b c", ""), 3U);
  EXPECT_EQ(word_errors("a b c", "b c d"), 2U);  // cheaper than three substitutions
  EXPECT_EQ(word_errors(" a  b ", "a b"), 0U);
}

Decoded decoded(Verdict verdict, Level level, double gap, double behind) {
  return {
      .verdict = verdict, .level = level, .bytes = 64.0, .seconds = 1e-3, .gap = gap, .behind = behind, .live = 2.0};
}

SpeechRun run_of(const std::vector<Decoded>& utterances) {
  Condition condition{.name = "5 dB", .series = {{"0", 0.0, utterances}}};
  condition.wide_seconds.assign(utterances.size(), 2e-3);
  condition.gaps.assign(1, std::vector<double>(utterances.size(), 0.5));
  SpeechRun run;
  run.said.assign(utterances.size(), "lock the door");
  run.words = 3 * utterances.size();
  run.decoders = {{.name = "Letters", .about = "", .levels = {"2", "exact"}, .worst_case = 128.0}};
  run.decoders[0].conditions = {condition};
  return run;
}

TEST(SpeechRun, AnAnswerWithinItsGapIsNoViolation) {
  EXPECT_TRUE(violations(run_of({decoded(Verdict::certified, 0, 0.25, 0.25)})).empty());
  EXPECT_TRUE(
      violations(run_of({decoded(Verdict::uncertified, 0, std::numeric_limits<double>::infinity(), 9.0)})).empty());
}

TEST(SpeechRun, AnAnswerThatAnotherBeatsByMoreIsNamed) {
  for (const Verdict verdict : {Verdict::certified, Verdict::uncertified}) {
    const auto broken =
        violations(run_of({decoded(Verdict::certified, 0, 0.0, 0.0), decoded(verdict, 1, 0.25, 0.375)}));
    ASSERT_EQ(broken.size(), 1U);
    for (const char* word : {"Letters", "5 dB", "utterance 1", "exact", "0.375", "0.25"})
      EXPECT_NE(broken[0].find(word), std::string::npos) << word;
  }
}

TEST(SpeechRun, AGapThatIsNotANumberIsAViolation) {
  constexpr double nan = std::numeric_limits<double>::quiet_NaN();
  EXPECT_EQ(violations(run_of({decoded(Verdict::certified, 0, nan, 0.0)})).size(), 1U);
  EXPECT_EQ(violations(run_of({decoded(Verdict::certified, 0, 1.0, nan)})).size(), 1U);
}

TEST(SpeechRun, WhatWasNotCertifiedIsCountedAsOpenAndItsGapIsShown) {
  const SpeechRun run = run_of({decoded(Verdict::certified, 1, 0.0, 0.0), decoded(Verdict::uncertified, 0, 0.75, 0.5)});
  const auto target = to_json(run)["decoders"][0]["conditions"][0]["targets"][0];
  EXPECT_EQ(target["open"], 1);
  EXPECT_EQ(target["released_at"], (std::vector<double>{0.0, 1.0}));
  EXPECT_EQ(target["certified_gap"], 0.75);
  EXPECT_EQ(target["realised_gap"], 0.5);
  EXPECT_EQ(summary(run, run.decoders[0]).rows().size(), 1U);
}

}  // namespace
}  // namespace mpp::examples

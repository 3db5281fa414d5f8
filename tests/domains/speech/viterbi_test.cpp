// Certificates of the decoder in max semantics against all labellings, and broken twins of it.
#include <gtest/gtest.h>

#include <iostream>

#include "domains/speech/viterbi_fuzz.hpp"

namespace mpp::speech {
namespace {

using namespace mpp::test;
using reference::DenseLookAhead;

void print(const char* name, const ViterbiTally& t) {
  std::cout << name << ": " << t.cases << " cases, " << t.answers << " answers, " << t.certified << " certified, "
            << t.infeasible << " infeasible; gap " << t.gap_violations << " score " << t.score_violations << " wide "
            << t.wide << " worse " << t.worse << " unproven " << t.unproven << " repeated " << t.repeated << " ties "
            << t.tie_violations << '\n';
}

TEST(Viterbi, GapsHoldAtEveryLevelAndTheLastOneIsTheOptimum) {
  const ViterbiTally t = fuzz_viterbi<DenseLookAhead, ViterbiAccounting>(20'000, 1);
  print("mixed", t);
  EXPECT_EQ(t.violations(), 0U);
  EXPECT_GT(t.certified, t.answers / 4);
  EXPECT_LT(t.certified, t.answers);
  EXPECT_GT(t.infeasible, 0U);
}

TEST(Viterbi, GapsHoldWhereDoublesRoundCoarsely) {
  const ViterbiTally t = fuzz_viterbi<DenseLookAhead, ViterbiAccounting>(20'000, 2, Scene::large_numbers);
  print("large numbers", t);
  EXPECT_EQ(t.violations(), 0U);
}

TEST(Viterbi, OfEqualLabellingsTheSmallestWins) {
  const ViterbiTally t = fuzz_viterbi<DenseLookAhead, ViterbiAccounting>(20'000, 3, Scene::ties);
  print("ties", t);
  EXPECT_EQ(t.violations(), 0U);
}

}  // namespace
}  // namespace mpp::speech

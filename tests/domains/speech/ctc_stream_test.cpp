#include <gtest/gtest.h>

#include <cmath>
#include <iostream>
#include <limits>
#include <memory_resource>
#include <random>
#include <string>

#include <mpp/core/memory/reservation.hpp>
#include <mpp/core/memory/resource.hpp>

#include "domains/speech/stream_fuzz.hpp"

namespace mpp::speech {
namespace {

using namespace mpp::test;

TEST(CtcStream, GapsAreNeverBelowTheTruthAndChunksChangeNothing) {
  const StreamTally t = fuzz_streams(40000, 1);
  EXPECT_EQ(t.gap_violations, 0U);
  EXPECT_EQ(t.score_violations, 0U);
  EXPECT_EQ(t.segment_violations, 0U);
  EXPECT_EQ(t.chunk_differences, 0U);
  std::cout << "certified " << t.certified << " of " << t.cases << ", " << t.forced << " forced, " << t.closed
            << " closed\n";
  EXPECT_GT(t.certified, t.cases / 4);
  EXPECT_GT(t.forced, t.cases / 10);
  EXPECT_GT(t.closed, t.cases / 10);
}

// A broken twin: what a commitment or a closing drops is not charged.
struct DropsForNothing : StreamAccounting {
  static double told(double) { return 0.0; }
};
TEST(CtcStream, TheTestAboveCatchesForcedCommitmentsThatAreNotCharged) {
  const StreamTally t = fuzz_streams<DropsForNothing>(20000, 1);
  std::cout << t.gap_violations << " violations, " << t.segment_violations << " in segments\n";
  EXPECT_GT(t.gap_violations, 0U);
  EXPECT_GT(t.segment_violations, 0U);
}

// A broken twin: what the forgotten part of the trie was charged is forgotten too.
struct ForgetsBranches : StreamAccounting {
  static void fold(float&, float) {}
};
TEST(CtcStream, TheTestAboveCatchesACommitmentThatForgets) {
  const StreamTally t = fuzz_streams<ForgetsBranches>(20000, 1);
  std::cout << t.gap_violations << " violations, " << t.segment_violations << " in segments\n";
  EXPECT_GT(t.gap_violations, 0U);
}

}  // namespace
}  // namespace mpp::speech

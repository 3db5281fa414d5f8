#include <gtest/gtest.h>

#include <cmath>
#include <iostream>
#include <limits>
#include <memory_resource>
#include <random>
#include <string>

#include <mpp/core/memory/reservation.hpp>
#include <mpp/core/memory/resource.hpp>

#include "domains/speech/word_stream_fuzz.hpp"

namespace mpp::speech {
namespace {

using namespace mpp::test;

void print(const char* name, const WordStreamTally& t) {
  std::cout << name << ": " << t.cases << " cases, " << t.certified << " certified, " << t.forced << " forced, "
            << t.closed << " closed, " << t.infeasible << " infeasible, " << t.lost << " lost; gap " << t.gap_violations
            << " closed " << t.closed_violations << " segment " << t.segment_violations << " score "
            << t.score_violations << " wide " << t.wide << " frame " << t.frame_violations << " chunk "
            << t.chunk_differences << '\n';
}

TEST(ViterbiStream, GapsAreNeverBelowTheTruthAndChunksChangeNothing) {
  const WordStreamTally t = fuzz_word_streams(20'000, 1);
  print("mixed", t);
  EXPECT_EQ(t.violations(), 0U);
  EXPECT_GT(t.certified, t.cases / 4);
  EXPECT_LT(t.certified, t.cases);
  EXPECT_GT(t.forced, t.cases / 100);
  EXPECT_GT(t.closed, t.cases / 10);
  EXPECT_GT(t.infeasible, 0U);
  EXPECT_GT(t.lost, 0U);
}

}  // namespace
}  // namespace mpp::speech

// Gaps of streams of words against all labellings, and broken twins of them.
#include <gtest/gtest.h>

#include <algorithm>
#include <iostream>
#include <limits>
#include <memory_resource>

#include "domains/speech/word_stream_fuzz.hpp"

namespace mpp::speech {
namespace {

using namespace mpp::test;

constexpr double infinity = std::numeric_limits<double>::infinity();

void print(const char* name, const WordStreamTally& t) {
  std::cout << name << ": " << t.cases << " cases, " << t.certified << " certified, " << t.forced << " forced, "
            << t.closed << " closed, " << t.infeasible << " infeasible, " << t.lost << " lost; gap " << t.gap_violations
            << " closed " << t.closed_violations << " segment " << t.segment_violations << " score "
            << t.score_violations << " wide " << t.wide << " frame " << t.frame_violations << " chunk "
            << t.chunk_differences << '\n';
}

TEST(ViterbiStream, GapsAreNeverBelowTheTruthAndChunksChangeNothing) {
  const WordStreamTally t = fuzz_word_streams(30'000, 1);
  print("mixed", t);
  EXPECT_EQ(t.violations(), 0U);
  EXPECT_GT(t.certified, t.cases / 4);
  EXPECT_LT(t.certified, t.cases);
  EXPECT_GT(t.forced, t.cases / 100);
  EXPECT_GT(t.closed, t.cases / 10);
  EXPECT_GT(t.infeasible, 0U);
  EXPECT_GT(t.lost, 0U);
}

TEST(ViterbiStream, GapsHoldWhereDoublesRoundCoarsely) {
  const WordStreamTally t = fuzz_word_streams(30'000, 2, Scene::large_numbers);
  print("large numbers", t);
  EXPECT_EQ(t.violations(), 0U);
  EXPECT_GT(t.certified, t.cases / 4);
}

TEST(ViterbiStream, GapsHoldAmongEqualScores) {
  const WordStreamTally t = fuzz_word_streams(10'000, 3, Scene::ties);
  print("ties", t);
  EXPECT_EQ(t.violations(), 0U);
}

// Broken twins: the tests above would notice each of them.

template <class Policy>
using DecoderOf = BasicViterbiStreamDecoder<LookAhead, Policy>;

TEST(ViterbiStream, TheTestsAboveCatchDropsThatAreNotCharged) {
  const WordStreamTally t = fuzz_word_streams<ForgetfulDecoder>(5'000, 1);
  print("drops", t);
  EXPECT_GT(t.gap_violations, 0U);
  EXPECT_GT(t.closed_violations, 0U);
  EXPECT_GT(t.segment_violations, 0U);
}

struct CommitsForNothing : WordStreamAccounting {
  static double told(double) { return -infinity; }
};
TEST(ViterbiStream, TheTestsAboveCatchForcedCommitmentsThatAreNotCharged) {
  constexpr bool closings = false;  // but where one hypothesis is live, which drops nothing
  const WordStreamTally t = fuzz_word_streams<DecoderOf<CommitsForNothing>>(20'000, 1, Scene::mixed, closings);
  print("forced", t);
  EXPECT_GT(t.gap_violations, 0U);
  EXPECT_GT(t.segment_violations, 0U);
}
TEST(ViterbiStream, TheTestsAboveCatchClosingsThatAreNotCharged) {
  EXPECT_GT(fuzz_word_streams<DecoderOf<CommitsForNothing>>(5'000, 1).gap_violations, 0U);
}

struct ForgetsEarlierBlocks : WordStreamAccounting {
  static double later(double, double) { return -infinity; }
};
struct GainsNothing : WordStreamAccounting {
  static double later(double charged, double) { return charged; }
};
struct GainsToNearest : WordStreamAccounting {
  static double sum(double a, double b) { return a + b; }
  static double later(double charged, double most) { return charged + most; }
};
TEST(ViterbiStream, TheTestsAboveCatchWhatFollowsWhatWasDropped) {
  EXPECT_GT(fuzz_word_streams<DecoderOf<ForgetsEarlierBlocks>>(5'000, 1).gap_violations, 0U);
  EXPECT_GT(fuzz_word_streams<DecoderOf<GainsNothing>>(5'000, 1).gap_violations, 0U);
}
TEST(ViterbiStream, TheTestsAboveCatchSumsToNearest) {
  const WordStreamTally t = fuzz_word_streams<DecoderOf<GainsToNearest>>(20'000, 2, Scene::large_numbers);
  print("to nearest", t);
  EXPECT_GT(t.gap_violations, 0U);
}

/// What follows a drop is bounded by its emissions: words gain nothing.
struct WordsGainNothing : LookAhead {
  WordsGainNothing(const FoldedGraph& folded, const Emissions& e, std::pmr::memory_resource* memory,
                   const LookAheadOptions& options)
      : LookAhead(folded, e, memory, options) {
    for (std::size_t t = 0; t < e.frames; ++t) sum += static_cast<double>(*std::ranges::max_element(e.row(t)));
  }
  double most(std::size_t t) const { return std::min(LookAhead::most(t), sum); }
  double sum = 0.0;
};
/// A context is worth nothing to the words after it.
struct WithoutContexts : LookAhead {
  using LookAhead::LookAhead;
  double remaining(std::size_t t, Position p) const { return LookAhead::remaining(t, p) - largest(); }
  double largest() const {
    const WordGraph& words = graph().words();
    double most = 0.0;
    for (std::uint32_t s = 0; words.model() != nullptr && s < words.model()->states(); ++s)
      most = std::max(most, static_cast<double>(words.potential(WordGraph::State{s})));
    return most;
  }
};
template <class LookAhead>
using DecoderWith = BasicViterbiStreamDecoder<LookAhead, WordStreamAccounting>;
TEST(ViterbiStream, TheTestsAboveCatchGainsOfTheModelThatAreNotCharged) {
  EXPECT_GT(fuzz_word_streams<DecoderWith<WordsGainNothing>>(5'000, 1).gap_violations, 0U);
  EXPECT_GT(fuzz_word_streams<DecoderWith<WithoutContexts>>(5'000, 1).gap_violations, 0U);
}

}  // namespace
}  // namespace mpp::speech

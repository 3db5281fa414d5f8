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

// After "a" the model backs off at 5 nats: with one live hypothesis and nothing to look at, "a" waits for a frame of silence. The
// path that was dropped at frame 0 comes to the same place with 2 nats more, and 5 less in value.
TEST(ViterbiStream, ASegmentEndsInAContextThatIsPartOfTheValue) {
  const NgramModel model = model_of(
      "\\data\\\nngram 1=4\nngram 2=1\n\\1-grams:\n-99 <s> 0\n-1 </s>\n-1 <unk>\n-1 a "
      "-2.1714724\n\\2-grams:\n-1 <s> a\n\\end\\\n");
  WordList list;
  list.words.emplace_back("a");
  list.spellings.add(std::vector<Token>{1});
  const Lexicon lexicon = Lexicon::build(list);
  const WordGraph graph(lexicon, &model, {.silence = Token{2}});
  ASSERT_NEAR(graph.potential(graph.word(graph.begin(), 0).next), -5.0, 1e-5);
  const FoldedGraph folded(graph);
  ViterbiStreamOptions options{.graph = &folded, .live_cap = 1};
  options.shortest_block = options.longest_block = 1;
  const std::vector<float> rows{-9, 2, 0, -9, 10, -9, 0, -9, -9};  // blank, a, silence
  const WordStreamRun run = run_words({rows, 3, 3, 0}, options, [] { return 3; });
  ASSERT_EQ(run.output.words.size(), 1U);
  EXPECT_EQ(run.output.words[0].frame, 1U);
  double gaps = 0.0;
  for (const WordSegment& s : run.output.segments) gaps += s.gap;
  EXPECT_GE(gaps, 2.0 - 1e-6);
  EXPECT_GE(run.result.closed_gap, 2.0 - 1e-6);
  EXPECT_GE(run.result.gap, 2.0 - 1e-6);
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

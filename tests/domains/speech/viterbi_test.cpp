// Certificates of the decoder in max semantics against all labellings, and broken twins of it.
#include <gtest/gtest.h>

#include <iostream>

#include "domains/speech/viterbi_fuzz.hpp"
#include "reference/dense_look_ahead.hpp"

namespace mpp::speech {
namespace {

using namespace mpp::test;
using reference::DenseLookAhead;

void print(const char* name, const ViterbiTally& t) {
  std::cout << name << ": " << t.cases << " cases, " << t.answers << " answers, " << t.certified << " certified, "
            << t.infeasible << " infeasible; gap " << t.gap_violations << " score " << t.score_violations << " wide "
            << t.wide << " worse " << t.worse << " unproven " << t.unproven << " repeated " << t.repeated
            << " disordered " << t.disordered << " ties " << t.tie_violations << '\n';
}

TEST(Viterbi, GapsHoldAtEveryLevelAndTheLastOneIsTheOptimum) {
  const ViterbiTally t = fuzz_viterbi<LookAhead, ViterbiAccounting>(20'000, 1);
  print("mixed", t);
  EXPECT_EQ(t.violations(), 0U);
  EXPECT_GT(t.certified, t.answers / 4);
  EXPECT_LT(t.certified, t.answers);
  EXPECT_GT(t.infeasible, 0U);
}

TEST(Viterbi, GapsHoldWithALookAheadWithoutCompression) {
  const ViterbiTally t = fuzz_viterbi<DenseLookAhead, ViterbiAccounting>(10'000, 1);
  print("dense", t);
  EXPECT_EQ(t.violations(), 0U);
}

TEST(Viterbi, GapsHoldWithoutLookAhead) {
  const ViterbiTally t = fuzz_viterbi<PlainLookAhead, ViterbiAccounting>(10'000, 4);
  print("plain", t);
  EXPECT_EQ(t.violations(), 0U);
}

TEST(Viterbi, GapsHoldWhereDoublesRoundCoarsely) {
  const ViterbiTally t = fuzz_viterbi<LookAhead, ViterbiAccounting>(20'000, 2, Scene::large_numbers);
  print("large numbers", t);
  EXPECT_EQ(t.violations(), 0U);
}

TEST(Viterbi, GapsHoldWhereTheHistoryIsFull) {
  const ViterbiTally t = fuzz_viterbi<LookAhead, ViterbiAccounting>(10'000, 6, Scene::full_history);
  print("full history", t);
  EXPECT_EQ(t.violations(), 0U);
}

TEST(Viterbi, OfEqualLabellingsTheSmallestWins) {
  const ViterbiTally t = fuzz_viterbi<LookAhead, ViterbiAccounting>(20'000, 3, Scene::ties);
  print("ties", t);
  EXPECT_EQ(t.violations(), 0U);
}

// Broken twins: the tests above would notice each of them.

struct NearestSums : ViterbiAccounting {
  static double sum(double a, double b) { return a + b; }
};
struct ForgetsStates : ViterbiAccounting {
  static std::uint32_t merged(WordGraph::State) { return 0; }
};
struct ForgetsDrops : ViterbiAccounting {
  static bool counts() { return false; }
};
struct ForgetsWordsOfCheckpoints : ViterbiAccounting {
  static std::uint32_t kept(std::uint32_t) { return WordHistory::beginning; }
};
struct GoesOnFromAForgottenCheckpoint : ViterbiAccounting {
  static bool forgets_frame() { return false; }
};
struct SpellingsAreWords : ViterbiAccounting {
  static std::uint64_t word(const Lexicon&, std::uint32_t label) { return label; }
};
struct LargestOfEqual : ViterbiAccounting {
  static bool smaller(const WordHistory& words, std::uint32_t a, std::uint32_t a_label, std::uint32_t b,
                      std::uint32_t b_label) {
    return words.smaller(b, b_label, a, a_label);
  }
};
/// Takes what a word is worth after nothing for a bound, as a look-ahead by unigrams does.
auto unigram_pass(const WordGraph& graph, const Emissions& e) {
  constexpr WordGraph::State empty{};
  return reference::DensePass(graph, e, graph.end(empty), [&graph](Lexicon::Node node) {
    const auto words = graph.lexicon().words_at(node);
    if (words.empty()) return graph.unknown(empty).score;
    double best = -std::numeric_limits<double>::infinity();
    for (const auto word : words) best = std::max(best, graph.word(empty, word).score);
    return best;
  });
}
struct UnigramLookAhead : DenseLookAhead {
  UnigramLookAhead(const FoldedGraph& folded, const Emissions& e, std::pmr::memory_resource*,
                   const LookAheadOptions& = {})
      : DenseLookAhead(unigram_pass(folded.words(), e), e.frames) {}
};
TEST(Viterbi, TheTestsAboveCatchSumsRoundedToNearest) {
  EXPECT_GT((fuzz_viterbi<LookAhead, NearestSums>(5'000, 2, Scene::large_numbers).gap_violations), 0U);
}
TEST(Viterbi, TheTestsAboveCatchMergingWithoutTheState) {
  EXPECT_GT((fuzz_viterbi<LookAhead, ForgetsStates>(5'000, 1).violations()), 0U);
}
TEST(Viterbi, TheTestsAboveCatchDropsThatAreNotCounted) {
  EXPECT_GT((fuzz_viterbi<LookAhead, ForgetsDrops>(5'000, 1).gap_violations), 0U);
}
TEST(Viterbi, TheTestsAboveCatchACheckpointWhoseWordsAreForgotten) {
  const ViterbiTally t = fuzz_viterbi<LookAhead, ForgetsWordsOfCheckpoints>(5'000, 6, Scene::full_history);
  print("words", t);
  EXPECT_GT(t.violations(), 0U);
}
TEST(Viterbi, TheTestsAboveCatchAForgottenCheckpointThatKeepsItsFrame) {
  const ViterbiTally t = fuzz_viterbi<LookAhead, GoesOnFromAForgottenCheckpoint>(5'000, 6, Scene::full_history);
  print("frame", t);
  EXPECT_GT(t.violations(), 0U);
}
TEST(Viterbi, TheTestsAboveCatchWordsThatAreListedInTwoSpellings) {
  EXPECT_GT((fuzz_viterbi<LookAhead, SpellingsAreWords>(5'000, 1).repeated), 0U);
}
TEST(Viterbi, TheTestsAboveCatchTheOtherOrderOfTies) {
  EXPECT_GT((fuzz_viterbi<LookAhead, LargestOfEqual>(5'000, 3, Scene::ties).tie_violations), 0U);
}
TEST(Viterbi, TheTestsAboveCatchALookAheadByUnigrams) {
  EXPECT_GT((fuzz_viterbi<UnigramLookAhead, ViterbiAccounting>(5'000, 1).gap_violations), 0U);
}
/// Passes over children of hypotheses that might win.
struct ShortInside : LookAhead {
  using LookAhead::LookAhead;
  double inside(std::size_t t, Token token) const { return LookAhead::inside(t, token) - 2.0; }
};
TEST(Viterbi, TheTestsAboveCatchChildrenThatAreSkippedTooSoon) {
  EXPECT_GT((fuzz_viterbi<ShortInside, ViterbiAccounting>(5'000, 1).violations()), 0U);
}
TEST(Viterbi, TheTestsAboveCatchALookAheadWithoutWords) {
  EXPECT_GT((fuzz_viterbi<LargestEmissions, ViterbiAccounting>(5'000, 1).gap_violations), 0U);
}

}  // namespace
}  // namespace mpp::speech

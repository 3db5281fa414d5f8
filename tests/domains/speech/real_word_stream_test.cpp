// A sentence of LibriSpeech as a stream, with 26,709 words and a trigram model. Needs MPP_DATA_DIR; skipped without.
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <iostream>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include <mpp/core/memory/reservation.hpp>
#include <mpp/core/memory/resource.hpp>
#include <mpp/speech/viterbi_tier.hpp>

#include "domains/speech/word_stream_fuzz.hpp"
#include "support/shared_data.hpp"

namespace mpp::speech {
namespace {

using namespace mpp::test;

class RealWordStream : public testing::Test {
 protected:
  void SetUp() override {
    for (const char* file : {"speech/lm.arpa", "speech/words.lst", "speech/libri_logits.json"})
      if (!std::filesystem::exists(shared_data(file))) GTEST_SKIP() << shared_data(file) << " is not there";
    std::vector<std::string> tokens{"|"};
    for (char c = 'a'; c <= 'z'; ++c) tokens.emplace_back(1, c);
    tokens.emplace_back("'");
    lexicon_.emplace(Lexicon::build(read_word_list(shared_data("speech/words.lst"), tokens, 0)));
    model_.emplace(NgramModel::read_arpa(shared_data("speech/lm.arpa")));
    matrix_ = log_softmax(read_emissions_json(shared_data("speech/libri_logits.json")));
  }
  Emissions emissions() const { return matrix_.view(28); }
  static void print(const std::string& name, const WordStreamRun& run) {
    const auto proven = std::ranges::count_if(run.output.segments, [](const WordSegment& s) { return s.gap == 0.0; });
    std::cout << name << ": gap " << run.result.gap << ", at closings " << run.result.closed_gap << ", score "
              << run.result.score_lower << " + " << run.result.score_upper - run.result.score_lower << ", " << proven
              << " of " << run.result.segments << " segments proven, " << run.result.forced << " forced\n";
  }

  std::optional<Lexicon> lexicon_;
  std::optional<NgramModel> model_;
  EmissionMatrix matrix_;
};

TEST_F(RealWordStream, FindsTheOptimumOfTheSentenceAndItsGapIsHonest) {
  for (const auto& [weight, bonus] : {std::pair{1.0, 0.0}, {2.0, 0.5}}) {
    const WordGraph graph(*lexicon_, &*model_, {.lm_weight = weight, .word_bonus = bonus, .silence = Token{0}});
    const FoldedGraph folded(graph);
    const ViterbiTier tier;
    const ViterbiRequest request{emissions(), &folded};
    ViterbiTier::State state(std::pmr::new_delete_resource());
    ViterbiResult proven;
    for (Level level = 0; level < tier.levels() && (level == 0 || proven.gap > 0.0); ++level) {
      tier.materialise(request, state, level);
      proven = tier.execute(request, state, level);
    }
    for (const std::size_t cap : {16U, 256U}) {
      const ViterbiStreamOptions options{.graph = &folded, .live_cap = cap};
      const WordStreamRun run = run_words(emissions(), options, [&] { return matrix_.frames; });
      print("weight " + std::to_string(weight) + ", cap " + std::to_string(cap), run);
      EXPECT_GE(run.result.score_lower + run.result.gap, proven.best.front().score_lower);
      if (cap == 256) {
        EXPECT_NEAR(run.result.score_upper, proven.best.front().score_upper, 1e-9);
        ASSERT_EQ(run.output.words.size(), proven.best.front().words.size());
        for (std::size_t i = 0; i < run.output.words.size(); ++i) {
          EXPECT_EQ(run.output.words[i].word, proven.best.front().words[i]);
          // In three frames before a separator it is as probable as the blank, to the last bit: two best paths.
          EXPECT_LE(run.output.words[i].frame, proven.spans[i].last);
          EXPECT_GE(run.output.words[i].frame + 1, proven.spans[i].last);
        }
      }
      EXPECT_GT(run.output.segments.size(), 3U);
    }
  }
}

TEST_F(RealWordStream, ChunksChangeNothing) {
  const WordGraph graph(*lexicon_, &*model_, {.lm_weight = 1.0, .silence = Token{0}});
  const FoldedGraph folded(graph);
  std::mt19937_64 random(4);
  ViterbiStreamOptions small{.graph = &folded, .live_cap = 40};
  small.shortest_block = 7;
  small.longest_block = 20;
  small.longest_uncommitted = 1;
  small.history_capacity = 60;
  for (const ViterbiStreamOptions& options : {ViterbiStreamOptions{.graph = &folded}, small}) {
    const WordStreamRun expected = run_words(emissions(), options, [&] { return matrix_.frames; });
    print("whole", expected);
    for (const std::size_t longest : {1U, 10U, 200U})
      EXPECT_EQ(run_words(emissions(), options, [&] { return 1 + random() % longest; }), expected);
  }
}

// The sentence again and again, at several levels of noise.
TEST_F(RealWordStream, TenMinutesTakeTheMemoryOfTheFirstFrame) {
  const WordGraph graph(*lexicon_, &*model_, {.lm_weight = 1.0, .silence = Token{0}});
  const FoldedGraph folded(graph);
  const ViterbiStreamOptions options{.graph = &folded, .live_cap = 32};
  Ledger ledger(Footprint::host(ViterbiStream::bytes(29, options)));
  Reservation reservation(ledger.root());
  ASSERT_FALSE(reservation.try_grow(Footprint::host(ViterbiStream::bytes(29, options))).has_value());
  ReservationResource resource(reservation, MemorySpace::host);
  ViterbiStream stream(&resource, 29, 28, options);
  const Footprint taken = reservation.used();
  WordStreamOutput output;
  std::mt19937_64 random(1);
  std::normal_distribution<float> normal;
  std::uint64_t words = 0;
  std::size_t partial = 0;
  while (stream.frames() < 10 * 60 * 50) {
    EmissionMatrix noisy = matrix_;
    const float noise = std::array{0.0F, 0.5F, 2.0F, 6.0F}[random() % 4];
    for (float& x : noisy.log_probs) x += noise * normal(random);
    stream.feed(log_softmax(noisy).view(28), output);
    partial = std::max(partial, stream.partial().size());
    words += output.words.size();
    output.words.clear();
  }
  EXPECT_EQ(reservation.used(), taken);
  EXPECT_LE(partial, options.longest_uncommitted);
  WordStreamRun run{output, stream.finish(output)};
  words += output.words.size();
  EXPECT_EQ(run.result.words, words);
  EXPECT_EQ(run.result.segments, output.segments.size());
  EXPECT_TRUE(std::isfinite(run.result.gap));
  EXPECT_LT(run.result.score_upper - run.result.score_lower, 1e-6);
  print("ten minutes, " + std::to_string(taken.total().count) + " B", run);
}

}  // namespace
}  // namespace mpp::speech

// A sentence of LibriSpeech with 26,709 words and a trigram model. Needs MPP_DATA_DIR; skipped without.
#include <gtest/gtest.h>

#include <array>
#include <chrono>
#include <iostream>
#include <string>

#include <mpp/core/control/controller.hpp>
#include <mpp/speech/viterbi_tier.hpp>

#include "domains/speech/libri_sentence.hpp"

namespace mpp::speech {
namespace {

using namespace mpp::test;

class RealWords : public LibriSentence {
 protected:
  // Prints a line per level up to the proof.
  ViterbiResult prove(const FoldedGraph& graph) const {
    const ViterbiTier tier;
    const ViterbiRequest request{emissions(), &graph};
    ViterbiTier::State state(std::pmr::new_delete_resource());
    ViterbiResult r;
    const auto start = std::chrono::steady_clock::now();
    for (Level level = 0; level < tier.levels(); ++level) {
      tier.materialise(request, state, level);
      r = tier.execute(request, state, level);
      const std::chrono::duration<double, std::milli> ms = std::chrono::steady_clock::now() - start;
      std::cout << graph.words().weights().lm_weight << " level " << level << ": score " << r.best.front().score_upper
                << ", gap " << r.gap << ", live " << r.live_mean << " mean " << r.live_max << " max, resumed at frame "
                << r.frames_resumed << ", claim " << tier.footprint(request, level).total().count << " B, "
                << ms.count() << " ms so far\n";
      if (r.gap == 0.0) break;
    }
    return r;
  }
  std::string text(const WordTranscript& transcript) const {
    std::string all;
    for (const Lexicon::Word word : transcript.words) all += std::string(lexicon_->text(word)) + " ";
    return all;
  }
};

// Scores: the best that flashlight-text 0.0.7 finds with 2,500 hypotheses, rescored by its objective in natural logarithms.
TEST_F(RealWords, SentenceIsProvenOptimalAtAllWeights) {
  struct Row {
    double weight, bonus, score;
  };
  for (const auto& [weight, bonus, score] :
       {Row{1.0, 0.0, -192.24726}, Row{2.0, 0.5, -348.81234}, Row{3.23, -0.26, -559.98234},
        Row{1.40277, -0.26, -265.94237}, Row{0.43429, 0.0, -93.75911}}) {
    const WordGraph graph(*lexicon_, &*model_, {.lm_weight = weight, .word_bonus = bonus, .silence = Token{0}});
    const FoldedGraph folded(graph);
    const ViterbiResult r = prove(folded);
    EXPECT_EQ(r.gap, 0.0);
    EXPECT_GE(r.best.front().score_upper, score - 1e-4);
    EXPECT_LE(r.best.front().score_lower, score + 1e-3);  // theirs is the optimum here
    EXPECT_LT(r.best.front().score_upper - r.best.front().score_lower, 1e-9);
    std::cout << text(r.best.front()) << '\n';
  }
}

TEST_F(RealWords, APlainWideBeamFindsTheSameAndProvesNothing) {
  const WordGraph graph(*lexicon_, &*model_, {.lm_weight = 1.0, .silence = Token{0}});
  const FoldedGraph folded(graph);
  const ViterbiRequest request{emissions(), &folded};
  const PlainViterbiTier tier({.live_caps = {500}, .exact_cap = 501});
  PlainViterbiTier::State state(std::pmr::new_delete_resource());
  tier.materialise(request, state, 0);
  const ViterbiResult plain = tier.execute(request, state, 0), proven = prove(folded);
  EXPECT_EQ(plain.gap, std::numeric_limits<double>::infinity());
  EXPECT_EQ(plain.best.front().words, proven.best.front().words);
  EXPECT_LE(plain.best.front().score_lower, proven.best.front().score_upper);
}

TEST_F(RealWords, ProofTakesLittleMemory) {
  const WordGraph graph(*lexicon_, &*model_, {.lm_weight = 2.0, .word_bonus = 0.5, .silence = Token{0}});
  const FoldedGraph folded(graph);
  const ViterbiRequest request{emissions(), &folded};
  const ViterbiTier tier({.live_caps = {16, 256, 2048}});
  const ScoreGap gap;
  Ledger ledger(Footprint::host(Bytes{1'500'000}));
  const Controller controller(tier, gap, ledger.root());
  const auto outcome = controller.serve(request);
  ASSERT_EQ(outcome.verdict, Verdict::certified);
  EXPECT_EQ(outcome.value().gap, 0.0);
  std::cout << "proven with " << outcome.peak.total().count << " B, level " << outcome.level << '\n';
}

}  // namespace
}  // namespace mpp::speech

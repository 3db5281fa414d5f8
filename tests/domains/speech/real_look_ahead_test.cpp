// On speech/libri_logits.json, words.lst and lm.arpa below MPP_DATA_DIR: every value against a pass over the whole trie.
#include <gtest/gtest.h>

#include <memory_resource>

#include <mpp/speech/look_ahead.hpp>

#include "domains/speech/libri_sentence.hpp"
#include "reference/dense_look_ahead.hpp"

namespace mpp::speech {
namespace {

using namespace mpp::test;

class RealLookAhead : public LibriSentence {};

TEST_F(RealLookAhead, IsNeverBelowAPassOverTheWholeTrie) {
  const WordGraph graph(*lexicon_, &*model_,
                        {.lm_weight = 0.8685889638, .word_bonus = 0.5, .silence = 0});  // flashlight's 2.0, 0.5
  const FoldedGraph folded(graph);
  EXPECT_LE(folded.states(), 15000U);
  EXPECT_LE(folded.columns(), 1024U);
  const Emissions e = emissions();
  const LookAhead usual(folded, e, std::pmr::new_delete_resource());
  const LookAhead loose(folded, e, std::pmr::new_delete_resource(), {.follow = 2.0});
  auto dense = reference::dense_pass(graph, e);
  const auto nodes = static_cast<LookAhead::Position>(graph.lexicon().nodes());
  std::size_t violated = 0, rounded_down = 0;
  for (std::size_t t = e.frames + 1; t-- > 0;) {
    if (t < e.frames) dense.step();
    for (const LookAhead* look_ahead : {&usual, &loose}) {
      violated += look_ahead->root(t) < dense.remaining(0) ? 1 : 0;
      violated += look_ahead->remaining(t, nodes) < dense.remaining(nodes) ? 1 : 0;
      for (LookAhead::Position n = 1; n < nodes; ++n) {
        const double value = look_ahead->remaining(t, n);
        violated += value < dense.remaining(n) ? 1 : 0;
        rounded_down += value - 1.0 / 32.0 < dense.remaining(n) ? 1 : 0;
      }
    }
  }
  EXPECT_EQ(violated, 0U);
  EXPECT_GT(rounded_down, 1000U);  // a code less would have been noticed
  EXPECT_LE(usual.root(0), dense.remaining(0) + 0.2);
  EXPECT_LE((LookAhead::bytes(folded, e.frames) + LookAhead::building_bytes(folded, e.frames)).count, 700U << 10);
}

}  // namespace
}  // namespace mpp::speech

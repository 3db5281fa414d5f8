// On speech/libri_logits.json, words.lst and lm.arpa below MPP_DATA_DIR: every value against a pass over the whole trie.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <memory_resource>
#include <string>
#include <vector>

#include <mpp/speech/look_ahead.hpp>

#include "support/shared_data.hpp"

namespace mpp::speech {
namespace {

using namespace mpp::test;

constexpr double inf = std::numeric_limits<double>::infinity();

class RealLookAhead : public testing::Test {
 protected:
  void SetUp() override {
    for (const char* file : {"speech/lm.arpa", "speech/words.lst", "speech/libri_logits.json"})
      if (!std::filesystem::exists(shared_data(file))) GTEST_SKIP() << shared_data(file) << " is not there";
    std::vector<std::string> tokens{"|"};
    for (char c = 'a'; c <= 'z'; ++c) tokens.emplace_back(1, c);
    tokens.emplace_back("'");
    model_.emplace(NgramModel::read_arpa(shared_data("speech/lm.arpa")));
    lexicon_.emplace(Lexicon::build(read_word_list(shared_data("speech/words.lst"), tokens, 0)));
    matrix_ = log_softmax(read_emissions_json(shared_data("speech/libri_logits.json")));
  }
  WordGraph graph(double lm_weight, double bonus) const {
    return WordGraph(*lexicon_, &*model_, {.lm_weight = lm_weight, .word_bonus = bonus, .silence = 0});
  }
  Emissions emissions() const { return matrix_.view(matrix_.tokens - 1); }

  std::optional<NgramModel> model_;
  std::optional<Lexicon> lexicon_;
  EmissionMatrix matrix_;
};

/// The same bound in double, node by node, before and after a blank, without folding: what the table may not go below.
class DensePass {
 public:
  DensePass(const WordGraph& graph, const Emissions& emissions)
      : graph_(graph), lexicon_(graph.lexicon()), emissions_(emissions), label_(lexicon_.nodes(), -inf),
        blank_(lexicon_.nodes(), -inf), after_(emissions.tokens, static_cast<double>(graph.end_upper())),
        root_(after_[0]) {}

  void step(std::size_t t) {
    const auto e = [&](std::size_t token) { return graph_.emission(emissions_.row(t), static_cast<Token>(token)); };
    const double pause = static_cast<double>(emissions_.row(t)[emissions_.blank]);
    std::vector<double> enter(lexicon_.nodes(), -inf);
    for (Lexicon::Node n = 1; n < lexicon_.nodes(); ++n) {
      enter[n] = label_[n];
      for (const auto word : lexicon_.words_at(n))
        enter[n] = std::max(enter[n], static_cast<double>(graph_.word_upper()[word]) + after_[lexicon_.token(n)]);
      enter[n] += e(lexicon_.token(n));
    }
    const auto leave = [&](Lexicon::Node node, std::size_t barred) {
      double best = -inf;
      const auto [first, count] = lexicon_.children(node);
      for (auto child = first; child < first + count; ++child)
        if (lexicon_.token(child) != barred) best = std::max(best, enter[child]);
      return best;
    };
    for (Lexicon::Node n = 1; n < lexicon_.nodes(); ++n) {
      const double paused = pause + blank_[n];
      label_[n] = std::max({paused, e(lexicon_.token(n)) + label_[n], leave(n, lexicon_.token(n))});
      blank_[n] = std::max(paused, leave(n, emissions_.tokens));
    }
    const double idle = std::max(pause + root_, e(0) + after_[0]);  // 0 is the silence
    root_ = std::max(idle, leave(0, emissions_.tokens));
    for (std::size_t k = 0; k < after_.size(); ++k) after_[k] = std::max({idle, e(k) + after_[k], leave(0, k)});
  }
  double node(Lexicon::Node n) const { return std::max(label_[n], blank_[n]); }
  double after(Token token) const { return after_[token]; }
  double root() const { return root_; }

 private:
  const WordGraph& graph_;
  const Lexicon& lexicon_;
  const Emissions& emissions_;
  std::vector<double> label_, blank_, after_;
  double root_;
};

TEST_F(RealLookAhead, IsNeverBelowAPassOverTheWholeTrie) {
  const WordGraph graph = RealLookAhead::graph(0.8685889638, 0.5);  // flashlight's 2.0, 0.5
  const FoldedGraph folded(graph);
  EXPECT_LE(folded.states(), 15000U);
  EXPECT_LE(folded.columns(), 1024U);
  const Emissions e = emissions();
  const LookAhead usual(folded, e, std::pmr::new_delete_resource());
  const LookAhead loose(folded, e, std::pmr::new_delete_resource(), {.follow = 2.0});
  DensePass dense(graph, e);
  std::size_t violated = 0, rounded_down = 0;
  for (std::size_t t = e.frames + 1; t-- > 0;) {
    if (t < e.frames) dense.step(t);
    for (const LookAhead* look_ahead : {&usual, &loose}) {
      violated += look_ahead->root(t) < dense.root() ? 1 : 0;
      violated += look_ahead->remaining(t, static_cast<LookAhead::Position>(graph.lexicon().nodes())) < dense.after(0);
      for (Lexicon::Node n = 1; n < graph.lexicon().nodes(); ++n) {
        const double value = look_ahead->remaining(t, n);
        violated += value < dense.node(n) ? 1 : 0;
        rounded_down += value - 1.0 / 32.0 < dense.node(n) ? 1 : 0;
      }
    }
  }
  EXPECT_EQ(violated, 0U);
  EXPECT_GT(rounded_down, 1000U);  // a code less would have been noticed
  EXPECT_LE(usual.root(0), dense.root() + 0.2);
  EXPECT_LE((LookAhead::bytes(folded, e.frames) + LookAhead::building_bytes(folded, e.frames)).count, 700U << 10);
}

}  // namespace
}  // namespace mpp::speech

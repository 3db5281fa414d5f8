// Emissions of real models. Needs MPP_DATA_DIR; skipped without.
#include <gtest/gtest.h>

#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <iostream>
#include <string>
#include <string_view>

#include <mpp/core/control/controller.hpp>
#include <mpp/speech/score_gap.hpp>

namespace mpp::speech {
namespace {

class RealEmissions : public testing::Test {
 protected:
  void SetUp() override {
    const char* data = std::getenv("MPP_DATA_DIR");
    if (data == nullptr) GTEST_SKIP() << "MPP_DATA_DIR is not set";
    folder_ = std::filesystem::path(data) / "speech";
    if (!std::filesystem::exists(folder_ / "libri_logits.json")) GTEST_SKIP() << "no emissions in " << folder_;
  }

  Outcome<CtcResult> serve(const EmissionMatrix& m, double epsilon, Footprint capacity) const {
    Ledger ledger(capacity);
    const Controller controller(tier_, estimator_, ledger.root());
    const CtcRequest request{m.view(m.tokens - 1), 1};
    return controller.serve(request, {.epsilon = {epsilon}});
  }

  // Prints one line per level and returns all results.
  std::vector<CtcResult> climb(std::string_view name, const EmissionMatrix& m) const {
    std::vector<CtcResult> results;
    const CtcRequest request{m.view(m.tokens - 1), 1};
    CtcState state(std::pmr::new_delete_resource());
    for (Level level = 0; level < tier_.levels(); ++level) {
      const auto start = std::chrono::steady_clock::now();
      tier_.materialise(request, state, level);
      results.push_back(tier_.execute(request, state, level));
      const std::chrono::duration<double, std::milli> ms = std::chrono::steady_clock::now() - start;
      const CtcResult& r = results.back();
      std::cout << name << " level " << level << ": ln P " << r.best.front().log_prob_lower << ", gap " << r.gap
                << ", live " << r.live_mean << " mean " << r.live_max << " max, expansions " << r.expansions << " of "
                << r.predicted_expansions << " predicted, claim " << tier_.footprint(request, level).total().count
                << " B, " << ms.count() << " ms\n";
    }
    return results;
  }

  std::filesystem::path folder_;
  CtcTier tier_;
  ScoreGap estimator_;
};

TEST_F(RealEmissions, SentenceIsProvenOptimalWithTwoHypotheses) {
  const EmissionMatrix m = log_softmax(read_emissions_json(folder_ / "libri_logits.json"));
  const auto results = climb("libri", m);
  constexpr std::string_view alphabet = " abcdefghijklmnopqrstuvwxyz'";
  const auto outcome = serve(m, 0.0, Footprint::host(Bytes{64 << 10}));
  ASSERT_EQ(outcome.verdict, Verdict::certified);
  EXPECT_EQ(outcome.level, 0U);
  EXPECT_LE(outcome.value().live_max, 2U);
  std::string text;
  for (const std::uint32_t token : outcome.value().best.front().tokens) text += alphabet[token];
  EXPECT_EQ(
      text,
      "i have a good deal of will you remember and what i have set my mind upon no doubt i shall some day achieve");
  for (const CtcResult& r : results) EXPECT_EQ(r.best, results.front().best);
}

TEST_F(RealEmissions, WordIsProvenOptimal) {
  const EmissionMatrix m = log_softmax(read_emissions_csv(folder_ / "iam_word.csv"));
  (void)climb("word", m);
  const auto outcome = serve(m, 0.0, Footprint::unlimited());
  ASSERT_EQ(outcome.verdict, Verdict::certified);
  EXPECT_EQ(outcome.level, 0U);
}

TEST_F(RealEmissions, LineHasAnHonestGapUntilTheExactSearchEndsWithinTheCap) {
  const EmissionMatrix m = log_softmax(read_emissions_csv(folder_ / "iam_line.csv"));
  const auto results = climb("line", m);
  const double optimum = results.back().best.front().log_prob_lower;
  for (Level level = 0; level < 3; ++level) {
    EXPECT_GT(results[level].gap, 0.0);
    EXPECT_GE(results[level].gap, optimum - results[level].best.front().log_prob_upper);
  }
  EXPECT_GT(results[3].expansions, 16U);
  EXPECT_LE(results[3].expansions, 1024U);
  for (Level level = 3; level < results.size(); ++level) EXPECT_EQ(results[level].gap, 0.0);
  // Too little memory for what would prove it: the best answer so far, with its gap.
  const auto outcome = serve(m, 0.0, Footprint::host(Bytes{64 << 10}));
  EXPECT_EQ(outcome.verdict, Verdict::out_of_memory);
  EXPECT_GT(outcome.bound.value(), 0.0);
  EXPECT_EQ(serve(m, 1.0, Footprint::unlimited()).verdict, Verdict::certified);
}

TEST_F(RealEmissions, LineIsProvenOptimalInAQuarterOfAMegabyteOnAShortLadder) {
  const EmissionMatrix m = log_softmax(read_emissions_csv(folder_ / "iam_line.csv"));
  const CtcTier tier({.live_caps = {2, 16}});
  Ledger ledger(Footprint::host(Bytes{256 << 10}));
  const Controller controller(tier, estimator_, ledger.root());
  const CtcRequest request{m.view(m.tokens - 1), 1};
  const auto start = std::chrono::steady_clock::now();
  const auto outcome = controller.serve(request);
  const std::chrono::duration<double, std::milli> ms = std::chrono::steady_clock::now() - start;
  EXPECT_EQ(outcome.value().gap, 0.0);
  std::cout << "line proven optimal with " << outcome.peak.total().count << " B in " << ms.count() << " ms, "
            << outcome.value().expansions << " expansions\n";
}

}  // namespace
}  // namespace mpp::speech

// The certificates against enumeration, and proofs that this comparison catches a wrong bound.
#include <gtest/gtest.h>

#include "domains/speech/certificate_fuzz.hpp"

namespace mpp::speech {
namespace {

using namespace mpp::test;

TEST(Certificate, IsNeverBelowTheTruthAndAProvenOptimumIsTheOptimum) {
  const FuzzTally t = fuzz_certificates<Accounting>(60000, 1);
  EXPECT_EQ(t.violations(), 0U) << "charge " << t.charge_violations << ", chain " << t.chain_violations << ", mass "
                                << t.mass_violations << ", whole " << t.whole_violations << ", suffix "
                                << t.suffix_violations << ", score " << t.score_violations << ", wrong " << t.wrong;
  EXPECT_GT(t.certified, t.cases / 2);
  RecordProperty("cases", static_cast<int>(t.cases));
  RecordProperty("certified", static_cast<int>(t.certified));
  std::cout << "certified " << t.certified << " of " << t.cases << '\n';
}

TEST(Certificate, TheTestAboveCatchesTheProductOfTheLargestProbabilities) {
  const FuzzTally t = fuzz_certificates<Accounting>(20000, 1, {.max_products = true});
  std::cout << t.chain_violations << " violations, " << t.wrong << " wrong\n";
  EXPECT_GT(t.chain_violations, 0U);
}

TEST(Certificate, TheTestAboveCatchesDropsThatAreNotCounted) {
  const FuzzTally t = fuzz_certificates<Accounting>(5000, 1, {.forget_drops = true});
  EXPECT_GT(t.chain_violations, 0U);
  EXPECT_GT(t.wrong, 0U);
}

TEST(Certificate, ChargesEveryLabellingForWhatTiesDrop) {
  const FuzzTally t = fuzz_certificates<Accounting>(30000, 1, {.ties_only = true});
  EXPECT_EQ(t.violations(), 0U);
}

// A broken twin: candidates are compared with the cutoff as floats, and what lies behind them as doubles.
struct ComparesDoubles : Accounting {
  static bool charged(double mass, float cutoff) { return mass < static_cast<double>(cutoff); }
};
TEST(Certificate, TheTestAboveCatchesNothingChargedBehindATie) {
  const FuzzTally t = fuzz_certificates<ComparesDoubles>(30000, 1, {.check_suffix = false, .ties_only = true});
  std::cout << t.charge_violations << " violations\n";
  EXPECT_GT(t.charge_violations, 0U);
}

// A broken twin: what a forgotten branch was charged is forgotten too.
struct Forgets : Accounting {
  static void fold(float&, float) {}
};
TEST(Certificate, TheTestAboveCatchesATableThatForgets) {
  const FuzzTally t = fuzz_certificates<Forgets>(20000, 1);
  std::cout << t.chain_violations << " violations\n";
  EXPECT_GT(t.chain_violations, 0U);
}

TEST(Reference, TreeOfLabelsEqualsTheWalkThroughAllPaths) {
  std::mt19937_64 random(7);
  for (int i = 0; i < 200; ++i) {
    const EmissionMatrix m = random_emissions(random, 1 + random() % 5, 1 + random() % 4, 1.0, 0.2);
    const Emissions e = m.view(random() % m.tokens);
    for (std::size_t last = 0; last < m.tokens; ++last) {
      const auto tree = reference::all_labellings(e, 0, last == e.blank ? SIZE_MAX : last);
      for (const auto& [labels, p] : reference::walk_paths(e, 0, last))
        ASSERT_NEAR(static_cast<double>(tree.at(labels) - p), 0.0, 1e-15);
    }
  }
}

}  // namespace
}  // namespace mpp::speech

// The same harness runs over the ledger and over toy ledgers with one mistake each; it must accept the first and
// catch all others, so that a pass means something.
#include <gtest/gtest.h>

#include <chrono>
#include <string>

#include "ledger_model_trial.hpp"
#include "ledger_race_trial.hpp"
#include "toy_ledger.hpp"

namespace mpp {
namespace {

using std::chrono::milliseconds;

template <class L>
std::string first_disagreement() {
  std::string wrong;
  for (std::uint64_t seed = 1; seed <= 20 && wrong.empty(); ++seed) wrong = model_disagreement<L>(seed, 2000);
  return wrong;
}

TEST(LedgerModelFuzz, AgreesWithPlainIntegersAfterEveryOperation) { EXPECT_EQ(first_disagreement<RealLedger>(), ""); }

TEST(LedgerModelFuzz, AcceptsTheToyWithoutAMistake) { EXPECT_EQ(first_disagreement<Toy<Mistake::none>>(), ""); }

TEST(LedgerModelFuzz, CatchesMistakesThatOneThreadCanSee) {
  EXPECT_NE(first_disagreement<Toy<Mistake::checks_leaf_only>>(), "");
  EXPECT_NE(first_disagreement<Toy<Mistake::keeps_denied_spaces>>(), "");
  EXPECT_NE(first_disagreement<Toy<Mistake::keeps_denied_leaves>>(), "");
  EXPECT_NE(first_disagreement<Toy<Mistake::peak_counts_denied>>(), "");
  EXPECT_NE(first_disagreement<Toy<Mistake::wraps_around>>(), "");
  EXPECT_NE(first_disagreement<Toy<Mistake::releases_leaf_only>>(), "");
  EXPECT_NE(first_disagreement<Toy<Mistake::moved_from_keeps>>(), "");
  EXPECT_NE(first_disagreement<Toy<Mistake::retiring_is_free>>(), "");
}

TEST(LedgerRaceFuzz, NeverExceedsALimitAndAddsUpAtRest) {
  for (const std::uint64_t seed : {1u, 1001u, 2001u})
    EXPECT_EQ(race_violation<RealLedger>(seed, milliseconds(800)), "");
}

TEST(LedgerRaceFuzz, NoPeakMissesWhatAWatcherSaw) {
  EXPECT_EQ(race_violation<RealLedger>(7, milliseconds(800), fuzz::Limits::ample), "");
}

TEST(LedgerRaceFuzz, AcceptsTheToyWithoutAMistake) {
  EXPECT_EQ(race_violation<Toy<Mistake::none>>(1, milliseconds(200)), "");
}

// The toys yield inside the window of their mistake, so they are caught in the first rounds on any machine.
TEST(LedgerRaceFuzz, CatchesMistakesThatOnlyThreadsCanSee) {
  EXPECT_NE(race_violation<Toy<Mistake::adds_then_checks>>(1, milliseconds(5000)), "");
  EXPECT_NE(race_violation<Toy<Mistake::checks_then_adds>>(1, milliseconds(5000)), "");
  EXPECT_NE(race_violation<Toy<Mistake::loses_updates>>(1, milliseconds(5000)), "");
  EXPECT_NE(race_violation<Toy<Mistake::peak_read_late>>(1, milliseconds(5000), fuzz::Limits::ample), "");
}

}  // namespace
}  // namespace mpp

#include <mpp/core/control/session.hpp>

#include <gtest/gtest.h>

#include <any>
#include <limits>
#include <memory>
#include <stdexcept>
#include <vector>

#include "core/plain_loop.hpp"
#include "core/tiers.hpp"

namespace mpp {
namespace {

using namespace mpp::test;

Footprint host(std::uint64_t count) { return Footprint::host({count}); }

class SessionMemory : public testing::Test {
 protected:
  using Ladder = Session<LadderTier, Scripted>;
  Ledger ledger{host(250)};
  LadderTier tier{};
  Scripted estimator{};
  Ask ask{.id = 7};
};

TEST_F(SessionMemory, ADenialChangesNothingNamesTheHolderAndCanBeRetried) {
  const Account other = ledger.open(ledger.root(), "other");
  auto blocker = std::make_unique<Reservation>(other);
  ASSERT_FALSE(blocker->try_grow(host(100)));

  Ladder session(tier, estimator, ask, {}, ledger.open(ledger.root(), "mine"));
  ASSERT_TRUE(session.advance());
  const Account root = ledger.root();
  for (int attempt = 0; attempt < 3; ++attempt) {
    EXPECT_FALSE(session.advance());
    EXPECT_FALSE(session.done());
    EXPECT_EQ(session.next_level(), 1u);
    EXPECT_EQ(session.held(), host(100));
    EXPECT_EQ(session.next_increment(), host(100));
    EXPECT_EQ(root.committed(), host(200));
  }
  blocker.reset();
  EXPECT_TRUE(session.advance());
  EXPECT_EQ(session.held(), host(200));
  EXPECT_FALSE(session.advance());  // now it is the cap itself
  const auto outcome = session.take();
  EXPECT_EQ(outcome.verdict, Verdict::out_of_memory);
  EXPECT_EQ(outcome.level, 1u);
  ASSERT_TRUE(outcome.denial);
  EXPECT_EQ(outcome.denial->requested, Bytes{100});
  EXPECT_EQ(outcome.denial->available, Bytes{50});
  ASSERT_FALSE(outcome.denial->holders.empty());
  EXPECT_EQ(outcome.denial->holders.front().account, "root/mine");
  EXPECT_EQ(outcome.denial->holders.front().committed, Bytes{200});
  ASSERT_TRUE(outcome.raw);
  EXPECT_EQ(*outcome.raw, (Answer{7, {0, 1}}));
  EXPECT_THROW((void)outcome.value(), Uncertified);
}

TEST_F(SessionMemory, ADenialThatIsRetriedWithSuccessLeavesNoMark) {
  auto blocker = std::make_unique<Reservation>(ledger.root());
  ASSERT_FALSE(blocker->try_grow(host(200)));
  Ladder session(tier, estimator, ask, {}, ledger.root());
  EXPECT_FALSE(session.advance());
  blocker.reset();
  EXPECT_TRUE(session.advance());
  const auto outcome = session.take();
  EXPECT_EQ(outcome.verdict, Verdict::uncertified);
  EXPECT_FALSE(outcome.denial);
}

TEST_F(SessionMemory, AThrowAfterADenialWasOvercomeIsNoDenial) {
  auto blocker = std::make_unique<Reservation>(ledger.root());
  ASSERT_FALSE(blocker->try_grow(host(200)));
  const LadderTier faulty{.fault = {Step::materialise, 0}};
  Ladder session(faulty, estimator, ask, {}, ledger.root());
  EXPECT_FALSE(session.advance());
  blocker.reset();
  EXPECT_THROW(session.advance(), std::runtime_error);
  EXPECT_EQ(session.take().verdict, Verdict::uncertified);
}

TEST_F(SessionMemory, PollingADeniedLevelAddsOneStep) {
  Ask huge{.per_level = {300}};
  Ladder session(tier, estimator, huge, {}, ledger.root());
  for (int attempt = 0; attempt < 100; ++attempt) EXPECT_FALSE(session.advance());
  const auto outcome = session.take();
  ASSERT_EQ(outcome.trace.size(), 1u);
  EXPECT_EQ(outcome.trace[0].decision, Decision::deny);
  EXPECT_EQ(outcome.trace[0].increment, host(300));
  EXPECT_TRUE(outcome.trace[0].held.empty());
}

TEST_F(SessionMemory, DestroyingASessionHalfwayReturnsItsBytes) {
  {
    Ladder session(tier, estimator, ask, {}, ledger.root());
    ASSERT_TRUE(session.advance());
    EXPECT_EQ(ledger.root().committed(), host(100));
  }
  EXPECT_TRUE(ledger.root().committed().empty());
}

TEST_F(SessionMemory, ASpentSessionRepeatsNothingAndKeepsTheOutcomeOfTheLevelBefore) {
  for (const Step step : {Step::increment, Step::materialise, Step::execute, Step::bound}) {
    const LadderTier faulty{.fault = {step, 1}};
    const Scripted faulty_estimator{.fault = {step, 1}};
    Ladder session(faulty, faulty_estimator, ask, {}, ledger.root());
    ASSERT_TRUE(session.advance());
    EXPECT_THROW(session.advance(), std::runtime_error);
    EXPECT_TRUE(session.done());
    const Footprint held = session.held();
    EXPECT_TRUE(session.advance());
    EXPECT_EQ(session.held(), held);
    const auto outcome = session.take();
    EXPECT_EQ(outcome.verdict, Verdict::uncertified);
    EXPECT_EQ(outcome.level, 0u);
    EXPECT_EQ(*outcome.raw, (Answer{7, {0}}));
    EXPECT_EQ(outcome.trace.size(), 1u);
  }
}

TEST_F(SessionMemory, ATierThatAsksForMoreThanItsClaimIsCaught) {
  const OverclaimingTier tier_above_its_claim{};
  EXPECT_THROW((void)RealLoop{}(tier_above_its_claim, estimator, ask, {}, ledger.root()), ValueError);
  OverclaimingTier tier_at_its_claim{};
  tier_at_its_claim.level_count = 1;
  tier_at_its_claim.asked = {100};
  EXPECT_NO_THROW((void)RealLoop{}(tier_at_its_claim, estimator, ask, {}, ledger.root()));
}

TEST_F(SessionMemory, AResourceStateAllocatesFromTheReservation) {
  const StoredTier stored{};
  Session<StoredTier, Scripted> session(stored, estimator, ask, {}, ledger.root());
  ASSERT_TRUE(session.advance());
  EXPECT_EQ(ledger.root().used(), host(100));
  ASSERT_TRUE(session.advance());
  EXPECT_EQ(ledger.root().used(), host(200));
  EXPECT_EQ(session.take().value(), 200u);
}

TEST_F(SessionMemory, AnAllocationAboveTheIncrementIsCaught) {
  const StoredTier greedy{.stored = {101}};
  EXPECT_THROW((void)RealLoop{}(greedy, estimator, ask, {}, ledger.root()), ReservationExceeded);
  EXPECT_TRUE(ledger.root().committed().empty());
  EXPECT_TRUE(ledger.root().used().empty());
}

/// Its state is an aggregate whose first member a pointer would convert to.
struct FlagTier : ArchetypeTier {
  struct State {
    bool flag;
  };
  using Result = bool;
  Footprint increment(const Request&, const State&, Level) const { return {}; }
  void materialise(const Request&, State&, Level) const {}
  bool execute(const Request&, const State& state, Level) const { return state.flag; }
};
TEST_F(SessionMemory, AStateThatOnlyHappensToTakeAPointerIsDefaultConstructed) {
  EXPECT_FALSE(RealLoop{}(FlagTier{}, estimator, FlagTier::Request{}, {}, ledger.root()).value());
}

struct TakesAnyPointer {
  std::any any;
};
struct SaysWhatItMeans {
  explicit SaysWhatItMeans(std::pmr::memory_resource*) {}
};
static_assert(ResourceState<SaysWhatItMeans> && ResourceState<std::pmr::vector<float>>);
static_assert(!ResourceState<bool> && !ResourceState<std::any> && !ResourceState<TakesAnyPointer> &&
              !ResourceState<int>);

}  // namespace
}  // namespace mpp

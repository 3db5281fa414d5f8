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

constexpr double inf = std::numeric_limits<double>::infinity();
constexpr double nan = std::numeric_limits<double>::quiet_NaN();

Footprint host(std::uint64_t count) {
  return Footprint::host({count});
}
ErrorBound everywhere(Level, Delta share) {
  return ErrorBound::randomized(1.0, share);
}

// ---- what certifies: each check takes the loop it looks at, so that plain_loop.hpp can show that it bites ----

template <class Loop>
bool nothing_but_a_bound_certifies(Loop loop) {
  for (const double value : {nan, -1.0, -inf}) {
    Ledger ledger(host(1000));
    const auto estimator = only_at_level_0(ErrorBound::deterministic(value));
    const auto outcome = loop(LadderTier{}, estimator, Ask{}, {.epsilon = {inf}}, ledger.root());
    if (!outcome.certified() || outcome.level != 2 || outcome.bound.value() != 0.0) return false;
  }
  return true;
}

template <class Loop>
bool looks_spend_at_most_delta(Loop loop) {
  for (const std::size_t levels : {1u, 2u, 3u, 7u, 10u, 64u})
    for (const double delta : {0.1, 0.05, 1.0 / 3.0, 1e-6, 0.999}) {
      Ledger ledger(host(100 * levels));
      long double spent = 0.0L;  // 64 bits of mantissa: up to 64 equal shares add up exactly
      const Scripted greedy{[&](Level, Delta share) {
        spent += share.value;
        return ErrorBound::randomized(1.0, share);
      }};
      const auto outcome = loop(LadderTier{.level_count = levels}, greedy, Ask{}, {.delta = {delta}}, ledger.root());
      if (!outcome.certified() || outcome.level != levels - 1) return false;
      if (spent > static_cast<long double>(delta) || outcome.bound.delta().value > delta) return false;
      if (static_cast<long double>(outcome.bound.delta().value) < spent) return false;
    }
  return true;
}

template <class Loop>
bool an_overdraft_fails_closed(Loop loop) {
  for (const double factor : {1.0 + 1e-9, 2.0, -1.0, nan, inf}) {
    Ledger ledger(host(1000));
    const Scripted overdraws{[&](Level level, Delta share) {
      return level == 0 ? ErrorBound::randomized(1.0, {share.value * factor}) : ErrorBound::exact();
    }};
    const auto outcome = loop(LadderTier{}, overdraws, Ask{}, {.epsilon = {0.5}, .delta = {0.3}}, ledger.root());
    if (outcome.certified() || outcome.level != 2) return false;
  }
  return true;
}

template <class Loop>
bool the_exact_level_owes_what_was_spent(Loop loop) {
  Ledger ledger(host(1000));
  const auto outcome = loop(LadderTier{}, Scripted{everywhere}, Ask{}, {.delta = {0.75}}, ledger.root());
  return outcome.certified() && outcome.level == 2 && outcome.bound.value() == 0.0 &&
         outcome.bound.kind() == BoundKind::randomized && outcome.bound.delta().value == 0.5;  // two looks at 0.75 / 3
}

template <class Loop>
bool a_calibrated_promise_is_charged_once(Loop loop) {
  Ledger ledger(host(1000));
  const Scripted calibrated{[](Level level, Delta) { return ErrorBound::calibrated(level == 0 ? 1.0 : 0.1, {0.3}); }};
  const auto outcome = loop(LadderTier{}, calibrated, Ask{}, {.epsilon = {0.5}, .delta = {0.3}}, ledger.root());
  return outcome.certified() && outcome.level == 1 && outcome.bound.kind() == BoundKind::calibrated &&
         outcome.bound.delta().value == 0.3;
}

template <class Loop>
bool a_throw_returns_every_byte(Loop& loop, Ledger& ledger) {
  for (const Step step : {Step::increment, Step::materialise, Step::execute, Step::bound})
    for (const Level level : {0u, 1u, 2u}) {
      if (step == Step::bound && level == 2) continue;  // the exact level is not looked at
      bool threw = false;
      try {
        (void)loop(LadderTier{.fault = {step, level}}, Scripted{.fault = {step, level}}, Ask{}, {}, ledger.root());
      } catch (const std::runtime_error&) {
        threw = true;
      }
      if (!threw || !ledger.root().committed().empty()) return false;
    }
  return true;
}

template <class Loop>
bool a_denial_stops_below_the_cap(Loop loop) {
  Ledger ledger(host(250));
  const auto outcome = loop(LadderTier{}, Scripted{}, Ask{}, {}, ledger.root());
  return outcome.verdict == Verdict::out_of_memory && outcome.denial.has_value() && outcome.level == 1;
}

TEST(Session, NothingButABoundCertifies) {
  EXPECT_TRUE(nothing_but_a_bound_certifies(RealLoop{}));
  EXPECT_TRUE(nothing_but_a_bound_certifies(PlainLoop<Flaw::none>{}));
}
TEST(Session, TheTestAboveCatchesALoopThatCertifiesNaN) {
  EXPECT_FALSE(nothing_but_a_bound_certifies(PlainLoop<Flaw::certifies_nan>{}));
}

TEST(Session, LooksSpendAtMostDelta) {
  EXPECT_TRUE(looks_spend_at_most_delta(RealLoop{}));
  EXPECT_TRUE(looks_spend_at_most_delta(PlainLoop<Flaw::none>{}));
}
TEST(Session, TheTestAboveCatchesALoopThatGivesEveryLookAllOfDelta) {
  EXPECT_FALSE(looks_spend_at_most_delta(PlainLoop<Flaw::full_delta_per_look>{}));
}

TEST(Session, AnOverdraftFailsClosedAlsoAtTheExactLevel) {
  EXPECT_TRUE(an_overdraft_fails_closed(RealLoop{}));
  EXPECT_TRUE(an_overdraft_fails_closed(PlainLoop<Flaw::none>{}));
}
TEST(Session, TheTestAboveCatchesALoopThatForgivesOverdrafts) {
  EXPECT_FALSE(an_overdraft_fails_closed(PlainLoop<Flaw::forgives_overdrafts>{}));
}

TEST(Session, TheExactLevelOwesWhatRandomizedLooksSpent) {
  EXPECT_TRUE(the_exact_level_owes_what_was_spent(RealLoop{}));
  EXPECT_TRUE(the_exact_level_owes_what_was_spent(PlainLoop<Flaw::none>{}));
}
TEST(Session, TheTestAboveCatchesALoopThatForgetsAtTheExactLevel) {
  EXPECT_FALSE(the_exact_level_owes_what_was_spent(PlainLoop<Flaw::forgets_at_exact>{}));
}

TEST(Session, ACalibratedPromiseIsChargedOnce) {
  EXPECT_TRUE(a_calibrated_promise_is_charged_once(RealLoop{}));
  EXPECT_TRUE(a_calibrated_promise_is_charged_once(PlainLoop<Flaw::none>{}));
}
TEST(Session, TheTestAboveCatchesALoopThatChargesItPerLook) {
  EXPECT_FALSE(a_calibrated_promise_is_charged_once(PlainLoop<Flaw::charges_per_look>{}));
}

TEST(Session, AThrowInAnyStepReturnsEveryByte) {
  Ledger ledger(host(1000));
  RealLoop loop;
  EXPECT_TRUE(a_throw_returns_every_byte(loop, ledger));
}
TEST(Session, TheTestAboveCatchesALoopThatKeepsBytes) {
  Ledger ledger(host(1000));
  PlainLoop<Flaw::keeps_bytes_on_throw> loop;
  EXPECT_FALSE(a_throw_returns_every_byte(loop, ledger));
  loop.kept.clear();
}

TEST(Session, ADenialStopsBelowTheCap) {
  EXPECT_TRUE(a_denial_stops_below_the_cap(RealLoop{}));
  EXPECT_TRUE(a_denial_stops_below_the_cap(PlainLoop<Flaw::none>{}));
}
TEST(Session, TheTestAboveCatchesALoopThatRunsWithoutMemory) {
  EXPECT_FALSE(a_denial_stops_below_the_cap(PlainLoop<Flaw::runs_without_memory>{}));
}

// ---- the rest of the contract of bounds ----

TEST(Session, TheDefaultTargetGoesToTheExactLevel) {
  Ledger ledger(host(1000));
  const Scripted tiny{
      [](Level, Delta) { return ErrorBound::deterministic(std::numeric_limits<double>::denorm_min()); }};
  const auto outcome = RealLoop{}(LadderTier{}, tiny, Ask{}, {}, ledger.root());
  EXPECT_TRUE(outcome.certified());
  EXPECT_EQ(outcome.level, 2u);
  EXPECT_EQ(outcome.bound.kind(), BoundKind::deterministic);
  EXPECT_EQ(outcome.bound.delta().value, 0.0);
}

TEST(Session, TheDefaultTargetTakesALowerLevelThatIsProvenEqual) {
  Ledger ledger(host(1000));
  const auto outcome = RealLoop{}(LadderTier{}, only_at_level_0(ErrorBound::exact()), Ask{}, {}, ledger.root());
  EXPECT_TRUE(outcome.certified());
  EXPECT_EQ(outcome.level, 0u);
}

TEST(Session, AWorkloadWithOneLevelIsExact) {
  Ledger ledger(host(1000));
  const auto outcome = RealLoop{}(LadderTier{.level_count = 1}, Scripted{}, Ask{.id = 4}, {}, ledger.root());
  EXPECT_EQ(outcome.value(), (Answer{4, {0}}));
}

TEST(Session, ACalibratedPromiseWeakerThanTheTargetIsPassedOverAndCostsNothing) {
  Ledger ledger(host(1000));
  const Scripted weak{[](Level, Delta) { return ErrorBound::calibrated(0.0, {0.3}); }};
  const auto outcome = RealLoop{}(LadderTier{}, weak, Ask{}, {.epsilon = {1.0}, .delta = {0.2}}, ledger.root());
  EXPECT_TRUE(outcome.certified());
  EXPECT_EQ(outcome.level, 2u);
  EXPECT_EQ(outcome.bound.kind(), BoundKind::deterministic);
}

TEST(Session, ACalibratedPromiseAndTheRandomizedLooksBelowItShareDelta) {
  Ledger ledger(host(1000));
  const auto run = [&](double calibrated) {
    const Scripted hybrid{[=](Level level, Delta share) {
      return level == 0 ? ErrorBound::randomized(1.0, share) : ErrorBound::calibrated(0.0, {calibrated});
    }};
    return RealLoop{}(LadderTier{}, hybrid, Ask{}, {.epsilon = {0.5}, .delta = {0.75}}, ledger.root());
  };
  EXPECT_EQ(run(0.5).level, 1u);  // 0.75 / 3 + 0.5 is all of delta
  EXPECT_EQ(run(0.5).bound.delta().value, 0.75);
  EXPECT_EQ(run(0.5).bound.kind(), BoundKind::calibrated);
  EXPECT_EQ(run(0.51).level, 2u);
  EXPECT_TRUE(run(0.51).certified());
}

TEST(Session, ACalibratedPromiseWithoutAProbabilityFailsClosed) {
  for (const double delta : {-0.1, nan}) {
    Ledger ledger(host(1000));
    const auto outcome = RealLoop{}(LadderTier{}, only_at_level_0(ErrorBound::calibrated(0.0, {delta})), Ask{},
                                    {.epsilon = {1.0}, .delta = {0.5}}, ledger.root());
    EXPECT_EQ(outcome.verdict, Verdict::uncertified) << delta;
  }
}

TEST(Session, ALookPaysEvenWhenItFindsNoBound) {
  Ledger ledger(host(1000));
  const Scripted blind{[](Level, Delta share) { return ErrorBound::randomized(nan, share); }};
  EXPECT_EQ(RealLoop{}(LadderTier{}, blind, Ask{}, {.delta = {0.75}}, ledger.root()).bound.delta().value, 0.5);
}

TEST(Session, ARefusedRunSaysSoInItsTrace) {
  Ledger ledger(host(1000));
  const auto outcome = RealLoop{}(LadderTier{}, only_at_level_0(ErrorBound::randomized(0.0, {0.5})), Ask{},
                                  {.epsilon = {1.0}}, ledger.root());
  ASSERT_EQ(outcome.trace.size(), 3u);
  EXPECT_EQ(outcome.trace.back().decision, Decision::refuse);
  EXPECT_EQ(outcome.bound.delta().value, 1.0);
  EXPECT_THROW((void)outcome.value(), Uncertified);
}

TEST(Session, RefusesATargetOutsideItsDomainAndATierWithoutLevels) {
  Ledger ledger(host(1000));
  EXPECT_THROW((void)RealLoop{}(LadderTier{}, Scripted{}, Ask{}, {.epsilon = {nan}}, ledger.root()), ValueError);
  EXPECT_THROW((void)RealLoop{}(LadderTier{.level_count = 0}, Scripted{}, Ask{}, {}, ledger.root()), ValueError);
}

// ---- memory ----

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

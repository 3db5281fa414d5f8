#include <mpp/core/control/session.hpp>

#include <gtest/gtest.h>

#include <limits>
#include <stdexcept>
#include <vector>

#include "core/plain_loop.hpp"
#include "core/tiers.hpp"

namespace mpp {
namespace {

using namespace mpp::test;

constexpr double inf = std::numeric_limits<double>::infinity();
constexpr double nan = std::numeric_limits<double>::quiet_NaN();

Footprint host(std::uint64_t count) { return Footprint::host({count}); }
ErrorBound everywhere(Level, Delta share) { return ErrorBound::randomized(1.0, share); }

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
bool a_calibrated_policy_counts_as_looked_at(Loop loop) {
  for (const double value : {1.0, nan}) {  // too large a bound, and a look that found none
    Ledger ledger(host(1000));
    const Scripted calibrated{[=](Level, Delta) { return ErrorBound::calibrated(value, {0.3}); }};
    const auto outcome = loop(LadderTier{}, calibrated, Ask{}, {.epsilon = {0.5}, .delta = {0.3}}, ledger.root());
    if (!outcome.certified() || outcome.level != 2) return false;
    if (outcome.bound.delta().value != 0.0 || outcome.looked.value != 0.3) return false;
  }
  return true;
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

TEST(Session, ACalibratedPolicyThatReleasedNothingCountsAsLookedAt) {
  EXPECT_TRUE(a_calibrated_policy_counts_as_looked_at(RealLoop{}));
  EXPECT_TRUE(a_calibrated_policy_counts_as_looked_at(PlainLoop<Flaw::none>{}));
}
TEST(Session, TheTestAboveCatchesALoopThatCountsOnlyWinners) {
  EXPECT_FALSE(a_calibrated_policy_counts_as_looked_at(PlainLoop<Flaw::charges_winners>{}));
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
  EXPECT_EQ(outcome.looked.value, 0.0);
}

TEST(Session, WhatWasLookedAtIsAtMostDeltaInAnyOrder) {
  Ledger ledger(host(1000));
  for (const double policy : {0.0, 0.1, 0.3, 0.7, 0.75, 0.8})
    for (const Level first : {0u, 1u, 2u, 3u, 4u}) {
      double looked = 0.0;  // the looks that were let in, as the script sees them; all are exact in double
      double asked = 0.0;
      const Scripted hybrid{[&](Level level, Delta share) {
        if (level < first) {
          looked += share.value;
          return ErrorBound::randomized(1.0, share);
        }
        if (level == first) {
          asked = looked + policy <= 0.75 ? policy : 0.0;
          return ErrorBound::calibrated(nan, {policy});
        }
        looked += share.value;
        return ErrorBound::randomized(level == 4 ? 0.0 : 1.0, share);
      }};
      const auto outcome = RealLoop{}(LadderTier{.level_count = 6}, hybrid, Ask{}, {{0.5}, {0.75}}, ledger.root());
      EXPECT_TRUE(outcome.certified()) << policy << ' ' << first;
      EXPECT_LE(outcome.looked.value, 0.75) << policy << ' ' << first;
      EXPECT_NEAR(outcome.looked.value, looked + asked, 1e-12) << policy << ' ' << first;
    }
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
  EXPECT_EQ(run(0.5).looked.value, 0.75);
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

}  // namespace
}  // namespace mpp

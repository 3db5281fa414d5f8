#include <mpp/core/control/session.hpp>

#include <gtest/gtest.h>

#include <new>

#include "core/allocation/allocation_plan.hpp"
#include "core/plain_loop.hpp"
#include "core/tiers.hpp"

namespace mpp {
namespace {

using namespace mpp::test;

Footprint host(std::uint64_t count) { return Footprint::host({count}); }
ErrorBound everywhere(Level, Delta share) { return ErrorBound::randomized(1.0, share); }

// Fails the first allocation, then only the second, and so on to the last one of an undisturbed run.
template <class T>
bool survives_every_failing_allocation(const T& tier, const Scripted& estimator, std::uint64_t cap) {
  const Ask ask{};
  Ledger ledger(host(cap));
  RealLoop loop;
  std::size_t needed = 0;
  for (std::size_t fail_at = 0;; ++fail_at) {
    bool failed = false;
    std::ptrdiff_t live = 0;
    {
      AllocationPlan plan(fail_at);
      try {
        (void)loop(tier, estimator, ask, {.delta = {0.5}}, ledger.root());
      } catch (const std::bad_alloc&) {
        failed = true;
      }
      needed = plan.allocations();
      live = plan.live();
    }
    if (live != 0 || !ledger.root().committed().empty() || !ledger.root().used().empty()) return false;
    if (!failed) return needed == fail_at && needed > 0;  // the first run in which nothing was left to fail
  }
}

TEST(SessionUnderFailingAllocations, AFailingAllocationLeaksNothingAndLeavesTheLedgerEmpty) {
  EXPECT_TRUE(survives_every_failing_allocation(LadderTier{}, Scripted{everywhere}, 1000));
  EXPECT_TRUE(survives_every_failing_allocation(LadderTier{.level_count = 9}, Scripted{everywhere}, 1000));
  EXPECT_TRUE(survives_every_failing_allocation(StoredTier{}, Scripted{everywhere}, 1000));
}
TEST(SessionUnderFailingAllocations, TheSameHoldsOnTheWayToADenial) {
  EXPECT_TRUE(survives_every_failing_allocation(LadderTier{}, Scripted{everywhere}, 250));
  EXPECT_TRUE(survives_every_failing_allocation(StoredTier{}, Scripted{everywhere}, 150));
}

struct LeakyTier : LadderTier {
  mutable std::vector<Answer*> lost{};
  void materialise(const Ask& ask, State& state, Level level) const {
    lost.reserve(64);
    lost.push_back(new Answer{});
    LadderTier::materialise(ask, state, level);  // a smart pointer would have held the answer
    delete lost.back();
    lost.pop_back();
  }
};
TEST(SessionUnderFailingAllocations, TheTestAboveCatchesATierThatLeaksWhenAnAllocationFails) {
  LeakyTier leaky;
  leaky.lost.reserve(64);
  EXPECT_FALSE(survives_every_failing_allocation(leaky, Scripted{everywhere}, 1000));
  for (const Answer* answer : leaky.lost) delete answer;
}

}  // namespace
}  // namespace mpp

// Every allocation of a cache and of a read fails once.
#include <gtest/gtest.h>

#include "core/allocation/allocation_plan.hpp"
#include "domains/llm/random_operations.hpp"
#include "domains/llm/read_scene.hpp"

namespace mpp::llm {
namespace {

using test::AllocationPlan;

TEST(OutOfMemoryCache, LeavesTheCacheUnchanged) {
  const KvGeometry geometry{.layers = 1, .num_kv_heads = 2, .head_dim = 32};
  const KvCacheOptions options{.slab_slots = 2};
  Ledger ledger(Footprint::unlimited());
  PagedKvCache cache({}, geometry, ledger.root(), options);
  NaiveCache naive(geometry, options);
  RandomOperations source(3);
  std::size_t failures = 0;
  for (int i = 0; i < 150; ++i) {
    if (i % 10 == 9) cache.trim();
    const Operation operation = source.next(naive, cache);
    for (std::size_t fail_at = 0;; ++fail_at) {
      bool failed = false;
      std::ptrdiff_t live = 0;
      {
        AllocationPlan plan(fail_at);
        try {
          static_cast<void>(operation.run(cache));
        } catch (const std::bad_alloc&) {
          failed = true;
        }
        live = plan.live();
      }
      if (!failed) break;
      ++failures;
      ASSERT_EQ(live, 0) << "operation " << i << ", allocation " << fail_at;
      expect_same(cache, naive, ledger.root(), fail_at % 16 == 0);
      ASSERT_FALSE(HasFailure()) << "operation " << i << ", allocation " << fail_at;
    }
    operation.apply(naive);
    expect_same(cache, naive, ledger.root());
    ASSERT_FALSE(HasFailure()) << "operation " << i;
  }
  EXPECT_GT(failures, 1000U);
}

TEST(OutOfMemoryCache, ThatCannotBeMadeLeavesNothing) {
  Ledger ledger(Footprint::unlimited());
  const auto make = [&] { const PagedKvCache cache({}, {}, ledger.root()); };
  EXPECT_GE(test::survives(make, [&](std::ptrdiff_t live) { return live == 0 && ledger.root().committed().empty(); }),
            2U);
}

TEST(OutOfMemoryRead, LeaksNothing) {
  const ReadScene scene({.num_kv_heads = 2, .head_dim = 32}, 2, 300, 1.0, 4);
  Ledger ledger(Footprint::unlimited());
  const Account reads = ledger.open(ledger.root(), "reads");
  PagedKvCache cache({}, scene.geometry, ledger.root());
  const SequenceId id = scene.fill(cache);
  const KvTier tier;
  const AttentionBound estimator;
  const AttentionController controller(tier, estimator, reads);
  for (const double epsilon : {0.3, 0.003, 0.0}) {
    const AttentionRequest request{.cache = &cache, .sequence = id, .queries = scene.queries, .epsilon = {epsilon}};
    const auto serve = [&] { static_cast<void>(controller.serve(request, {.epsilon = {epsilon}})); };
    EXPECT_GT(test::survives(serve, [&](std::ptrdiff_t live) { return live == 0 && reads.committed().empty(); }), 10U);
  }
}

}  // namespace
}  // namespace mpp::llm

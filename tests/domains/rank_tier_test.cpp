// The ledger sees every byte of a request, asks for none too many, and gets all of them back.
#include <mpp/ranking/ranker.hpp>

#include <gtest/gtest.h>

#include <memory_resource>

#include "domains/ranking_scenes.hpp"

namespace mpp::ranking {
namespace {

using namespace mpp::test;

/// A request that climbs to the exact level, or stays near it: gaussian rows, or ties that codes cannot separate.
struct Climb {
  std::string name;
  Scene scene;
  RankRequest request;
  RankOptions options;
};

std::vector<Climb> climbs() {
  std::vector<Climb> all;
  for (const std::size_t n : {0, 1, 64, 700})
    for (const std::size_t k : {std::size_t{1}, std::size_t{10}, std::size_t{800}})
      for (const Level first : {Level{0}, Level{1}, Level{2}})
        for (const bool rescore : {true, false})
          for (const double delta : {0.0, 1e-3}) {
            Scene scene = family_scene(Family::gaussian, n, 1, 21);
            if (k == 10)
              scene =
                  changed(scene, "ties", [&](std::size_t, auto row) { std::ranges::copy(scene.row(0), row.begin()); });
            all.push_back({text("rows ", n, ", k ", k, ", first ", first, ", rescore ", rescore, ", delta ", delta),
                           std::move(scene), RankRequest{.query = {}, .k = k, .delta = {delta}},
                           RankOptions{.pilot = 5, .rescore = rescore, .first_level = first}});
          }
  return all;
}

// Calls visit(climb, pool, tier, request) with everything alive.
template <class Visit>
void for_each_climb(const Visit& visit) {
  for (const Climb& climb : climbs()) {
    const Pool pool = build(climb.scene, Metric::l2);
    const RankTier tier(pool, climb.options);
    RankRequest request = climb.request;
    request.query = climb.scene.query(0);
    visit(climb, tier, request);
  }
}

// The increments of a request that no ledger stops.
std::vector<Bytes> increments(const RankTier& tier, const RankRequest& request, QualityTarget target) {
  const RankMargin margin;
  Ledger ledger(Footprint::unlimited());
  const RankController controller(tier, margin, ledger.root());
  auto session = controller.start(request, target);
  std::vector<Bytes> all;
  while (!session.done()) {
    all.push_back(session.next_increment()[MemorySpace::host]);
    (void)session.advance();
  }
  return all;
}

/// Memory that knows the most bytes that were in use at once.
class PeakResource final : public std::pmr::memory_resource {
 public:
  Bytes peak() const { return {peak_}; }

 private:
  void* do_allocate(std::size_t bytes, std::size_t alignment) override {
    peak_ = std::max(peak_, used_ += bytes);
    return std::pmr::new_delete_resource()->allocate(bytes, alignment);
  }
  void do_deallocate(void* block, std::size_t bytes, std::size_t alignment) override {
    used_ -= bytes;
    std::pmr::new_delete_resource()->deallocate(block, bytes, alignment);
  }
  bool do_is_equal(const std::pmr::memory_resource& other) const noexcept override { return this == &other; }

  std::uint64_t used_ = 0, peak_ = 0;
};

TEST(RankTier, AsksForExactlyTheBytesItUsesAtItsPeak) {
  for_each_climb([&](const Climb& climb, const RankTier& tier, const RankRequest& request) {
    PeakResource memory;
    RankState state(&memory);
    Footprint sum;
    for (Level level = climb.options.first_level; level < tier.levels(); ++level) {
      sum += tier.increment(request, state, level);
      tier.materialise(request, state, level);
      (void)tier.execute(request, state, level);
      EXPECT_EQ(Footprint::host(memory.peak()), sum) << climb.name << ", level " << level;
    }
  });
}

TEST(RankTier, AsksForExactlyTheBytesItUsesWhenCodeLevelsAreLeftOut) {
  for_each_climb([&](const Climb& climb, const RankTier& tier, const RankRequest& request) {
    for (const std::vector<Level>& levels : {std::vector<Level>{0, 2, 4}, {0, 3, 4}, {1, 3}, {2, 4}, {3, 4}}) {
      PeakResource memory;
      RankState state(&memory);
      Footprint sum;
      for (const Level level : levels) {
        sum += tier.increment(request, state, level);
        tier.materialise(request, state, level);
        (void)tier.execute(request, state, level);
        EXPECT_EQ(Footprint::host(memory.peak()), sum) << climb.name << ", level " << level;
        EXPECT_TRUE(sum.within(tier.footprint(request, level))) << climb.name << ", level " << level;
      }
    }
  });
}

TEST(RankTier, StaysWithinItsIncrementsAndItsClaim) {
  std::size_t exact_levels = 0;
  for_each_climb([&](const Climb& climb, const RankTier& tier, const RankRequest& request) {
    const RankMargin margin;
    Ledger ledger(Footprint::unlimited());
    const RankController controller(tier, margin, ledger.root());
    {
      auto session = controller.start(request, {.delta = request.delta});
      Footprint sum, claim;
      while (!session.done()) {
        const Level level = session.next_level();
        sum += session.next_increment();
        ASSERT_NO_THROW(ASSERT_TRUE(session.advance())) << climb.name;
        EXPECT_EQ(session.held(), sum) << climb.name << ", level " << level;
        EXPECT_TRUE(ledger.root().used().within(sum)) << climb.name << ", level " << level;
        EXPECT_TRUE(sum.within(tier.footprint(request, level))) << climb.name << ", level " << level;
        EXPECT_TRUE(claim.within(tier.footprint(request, level))) << climb.name << ", level " << level;
        claim = tier.footprint(request, level);
        exact_levels += level + 1 == tier.levels() ? 1 : 0;
      }
      EXPECT_EQ(session.take().peak, sum);
    }
    EXPECT_TRUE(ledger.root().committed().empty());
  });
  EXPECT_GT(exact_levels, 10U);
}

TEST(RankTier, ReturnsEverythingWhenTheLedgerIsTooSmallForAnyOfItsLevels) {
  std::size_t denied = 0;
  for_each_climb([&](const Climb& climb, const RankTier& tier, const RankRequest& request) {
    const QualityTarget target{.delta = request.delta};
    const std::vector<Bytes> needed = increments(tier, request, target);
    Bytes sum;
    for (std::size_t i = 0; i < needed.size(); ++i) {
      sum += needed[i];
      if (needed[i] == Bytes{}) continue;
      Ledger ledger(Footprint::host(sum - Bytes{1}));
      const RankMargin margin;
      const RankController controller(tier, margin, ledger.root());
      const auto outcome = controller.serve(request, target);
      EXPECT_EQ(outcome.verdict, Verdict::out_of_memory) << climb.name;
      EXPECT_TRUE(outcome.denial.has_value());
      EXPECT_EQ(outcome.raw.has_value(), i > 0) << climb.name;
      EXPECT_EQ(outcome.peak, Footprint::host(sum - needed[i]));
      EXPECT_TRUE(ledger.root().committed().empty());
      EXPECT_THROW((void)outcome.value(), Uncertified);
      ++denied;
    }
    Ledger enough(Footprint::host(sum));
    const RankMargin margin;
    EXPECT_TRUE(RankController(tier, margin, enough.root()).serve(request, target).certified()) << climb.name;
  });
  EXPECT_GT(denied, 100U);
}

TEST(RankTier, ServesABatchThatDoesNotFitTogetherOneByOne) {
  const Scene scene = family_scene(Family::gaussian, 600, 8, 24);
  const Pool pool = build(scene, Metric::inner_product);
  const RankTier tier(pool);
  const RankMargin margin;
  std::vector<RankRequest> requests;
  Bytes most;
  for (std::size_t q = 0; q < 8; ++q) {
    requests.push_back({.query = scene.query(q), .k = 10});
    Bytes sum;
    for (const Bytes bytes : increments(tier, requests.back(), {})) sum += bytes;
    most = std::max(most, sum);
  }
  for (const std::uint64_t room : {1, 2, 3, 20}) {
    Ledger ledger(Footprint::host(most * room));
    const RankController controller(tier, margin, ledger.root());
    const auto together = controller.serve(std::span<const RankRequest>(requests));
    for (std::size_t q = 0; q < 8; ++q)
      EXPECT_EQ(together[q].value().items, controller.serve(requests[q]).value().items);
    EXPECT_TRUE(ledger.root().committed().empty());
  }
}

TEST(Ranker, ChargesThePoolAndRefusesALedgerWithoutRoomForIt) {
  const Scene scene = family_scene(Family::gaussian, 300, 1, 16);
  const Pool pool = build(scene, Metric::inner_product);
  const Footprint whole = pool.resident() + pool.backing();
  Ledger enough(whole);
  {
    const Ranker ranker(pool, enough);
    EXPECT_EQ(enough.root().committed(), whole);
    EXPECT_EQ(ranker.serve({.query = scene.query(0)}).verdict, Verdict::out_of_memory);
    EXPECT_TRUE(ranker.accounts().requests.committed().empty());
    EXPECT_THROW(Ranker(pool, enough), ValueError);  // the account exists
  }
  EXPECT_TRUE(enough.root().committed().empty());
  for (const Footprint& less : {pool.resident() - Footprint::host(Bytes{1}), whole - Footprint::host(Bytes{1})}) {
    Ledger ledger(less);
    EXPECT_THROW(Ranker(pool, ledger), OutOfMemory);
    EXPECT_TRUE(ledger.root().committed().empty());
  }
}

}  // namespace
}  // namespace mpp::ranking

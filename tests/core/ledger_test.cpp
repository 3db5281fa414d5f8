#include <mpp/core/memory/ledger.hpp>

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <string>
#include <thread>
#include <vector>

#include <mpp/core/error.hpp>
#include <mpp/core/memory/reservation.hpp>

namespace mpp {
namespace {

Footprint host(std::uint64_t bytes) { return Footprint::host(Bytes{bytes}); }
Footprint device(std::uint64_t bytes) { return Footprint::device(Bytes{bytes}); }

TEST(Ledger, GrantsTheLastByteAndDeniesTheNext) {
  Ledger ledger(host(100));
  Reservation all(ledger.root());
  EXPECT_FALSE(all.try_grow(host(100)));
  EXPECT_EQ(ledger.root().committed(), host(100));

  Reservation more(ledger.root());
  const auto denial = more.try_grow(host(1));
  ASSERT_TRUE(denial);
  EXPECT_EQ(denial->space, MemorySpace::host);
  EXPECT_EQ(denial->requested, Bytes{1});
  EXPECT_EQ(denial->available, Bytes{0});
  EXPECT_TRUE(more.reserved().empty());
}

TEST(Ledger, ASpaceWithoutCapacityHoldsNothing) {
  Ledger ledger(host(100));
  Reservation r(ledger.root());
  EXPECT_TRUE(r.try_grow(device(1)));
  EXPECT_FALSE(r.try_grow(Footprint{}));
}

TEST(Ledger, AHostileSizeIsDeniedAndDoesNotWrapAround) {
  Ledger ledger(Footprint::unlimited());
  Reservation r(ledger.root());
  ASSERT_FALSE(r.try_grow(host(10)));
  EXPECT_TRUE(r.try_grow(Footprint::host(Bytes::max())));
  EXPECT_TRUE(r.try_grow(host(Bytes::max().count - 9)));
  EXPECT_FALSE(r.try_grow(host(Bytes::max().count - 10)));
  EXPECT_EQ(ledger.root().committed(), Footprint::host(Bytes::max()));
}

TEST(Ledger, EveryAccountOnThePathCounts) {
  Ledger ledger(host(100));
  const Account tenant = ledger.open(ledger.root(), "tenant", host(60));
  const Account worker = ledger.open(tenant, "worker");
  Reservation r(worker);
  ASSERT_FALSE(r.try_grow(host(60)));
  EXPECT_EQ(worker.committed(), host(60));
  EXPECT_EQ(tenant.committed(), host(60));
  EXPECT_EQ(ledger.root().committed(), host(60));

  const auto denial = r.try_grow(host(1));
  ASSERT_TRUE(denial);
  EXPECT_EQ(denial->account, "root/tenant");
  EXPECT_EQ(worker.committed(), host(60));

  r.shrink(host(25));
  EXPECT_EQ(worker.committed(), host(35));
  EXPECT_EQ(ledger.root().committed(), host(35));
}

TEST(Ledger, AGrowInSeveralSpacesIsAllOrNothing) {
  Ledger ledger(device(10) + host(100));
  Reservation r(ledger.root());
  const auto denial = r.try_grow(device(5) + host(101));
  ASSERT_TRUE(denial);
  EXPECT_EQ(denial->space, MemorySpace::host);
  EXPECT_TRUE(ledger.root().committed().empty());
  EXPECT_TRUE(ledger.root().peak().empty());
}

TEST(Ledger, ADeniedRequestLeavesNoTraceInAnyPeak) {
  Ledger ledger(host(100));
  const Account leaf = ledger.open(ledger.root(), "leaf");
  Reservation r(leaf);
  ASSERT_FALSE(r.try_grow(host(40)));
  ASSERT_TRUE(r.try_grow(host(61)));
  EXPECT_EQ(leaf.peak(), host(40));
  EXPECT_EQ(ledger.root().peak(), host(40));
  EXPECT_EQ(r.peak(), host(40));
}

TEST(Ledger, PeakIsTheSumOfWhatWasHeldTogether) {
  Ledger ledger(host(1000));
  Account root = ledger.root();
  {
    Reservation a(root), b(root);
    ASSERT_FALSE(a.try_grow(host(300)));
    ASSERT_FALSE(b.try_grow(host(400)));
    a.shrink(host(300));
    ASSERT_FALSE(b.try_grow(host(200)));
  }
  EXPECT_EQ(root.peak(), host(700));
  root.reset_peak();
  EXPECT_TRUE(root.peak().empty());
}

TEST(Ledger, PeakIsExactWhenManyThreadsHoldTogether) {
  constexpr std::size_t threads = 4;
  for (int round = 0; round < 200; ++round) {
    Ledger ledger(host(1000));
    const Account leaf = ledger.open(ledger.root(), "leaf");
    std::vector<Reservation> held;
    std::vector<std::thread> pool;
    for (std::size_t i = 0; i < threads; ++i) held.emplace_back(leaf);
    for (std::size_t i = 0; i < threads; ++i)
      pool.emplace_back([&, i] { EXPECT_FALSE(held[i].try_grow(host(std::uint64_t{1} << i))); });
    for (std::thread& t : pool) t.join();
    ASSERT_EQ(leaf.peak(), host(15));
    ASSERT_EQ(ledger.root().peak(), host(15));
  }
}

TEST(Ledger, DenialNamesTheEightLargestHoldersUnderTheFullAccount) {
  Ledger ledger(host(1'000'000));
  const Account tenant = ledger.open(ledger.root(), "tenant", host(1000));
  const Account elsewhere = ledger.open(ledger.root(), "elsewhere");
  std::vector<Reservation> held;
  for (std::uint64_t i = 1; i <= 10; ++i) {
    held.emplace_back(ledger.open(tenant, "worker " + std::to_string(i)));
    ASSERT_FALSE(held.back().try_grow(host(i)));
  }
  held.emplace_back(elsewhere);
  ASSERT_FALSE(held.back().try_grow(host(5000)));
  held.emplace_back(tenant);
  ASSERT_FALSE(held.back().try_grow(host(900)));

  const auto denial = held.front().try_grow(host(512));
  ASSERT_TRUE(denial);
  EXPECT_EQ(denial->account, "root/tenant");
  EXPECT_EQ(denial->available, Bytes{1000 - 900 - 55});
  ASSERT_EQ(denial->holders.size(), 8u);
  EXPECT_EQ(denial->holders[0].account, "root/tenant");
  EXPECT_EQ(denial->holders[0].committed, Bytes{900});  // its own bytes: what its workers hold is listed with them
  for (std::size_t i = 1; i < 8; ++i) {
    EXPECT_EQ(denial->holders[i].account, "root/tenant/worker " + std::to_string(11 - i));
    EXPECT_EQ(denial->holders[i].committed, Bytes{11 - i});
  }
  EXPECT_EQ(denial->message().substr(0, 98),
            "host: 512 B requested, 45 B available under root/tenant; held by root/tenant (900 B), root/tenant/");
}

TEST(Ledger, DenialOfAnEmptyLedgerNamesNoHolder) {
  Ledger ledger(host(10));
  Reservation r(ledger.root());
  const auto denial = r.try_grow(host(11));
  ASSERT_TRUE(denial);
  EXPECT_TRUE(denial->holders.empty());
  EXPECT_EQ(denial->message(), "host: 11 B requested, 10 B available under root");
}

TEST(Ledger, SnapshotListsParentsFirstAndSumsUsedAndRetiringUpwards) {
  Ledger ledger(host(100), "process");
  const Account a = ledger.open(ledger.root(), "a", host(50));
  const Account b = ledger.open(a, "b");
  Reservation of_a(a), of_b(b);
  ASSERT_FALSE(of_a.try_grow(host(10)));
  ASSERT_FALSE(of_b.try_grow(host(20)));
  of_a.use(host(3));
  of_b.use(host(7));
  of_b.retire(host(2));

  const auto lines = ledger.snapshot();
  ASSERT_EQ(lines.size(), 3u);
  EXPECT_EQ(lines[0].path, "process");
  EXPECT_EQ(lines[1].path, "process/a");
  EXPECT_EQ(lines[2].path, "process/a/b");
  EXPECT_EQ(lines[1].limit, host(50));
  for (std::size_t above : {0u, 1u}) {
    EXPECT_EQ(lines[above].committed, host(30));
    EXPECT_EQ(lines[above].used, host(8));
    EXPECT_EQ(lines[above].retiring, host(2));
    EXPECT_EQ(lines[above].peak, host(30));
  }
  EXPECT_EQ(lines[2].used, host(5));
  EXPECT_EQ(a.used(), host(8));
  EXPECT_EQ(a.retiring(), host(2));
  EXPECT_EQ(b.path(), "process/a/b");
}

TEST(Ledger, RefusesNamesThatWouldMakeAPathAmbiguous) {
  Ledger ledger(host(1));
  ledger.open(ledger.root(), "a");
  EXPECT_THROW(ledger.open(ledger.root(), "a"), ValueError);
  EXPECT_THROW(ledger.open(ledger.root(), ""), ValueError);
  EXPECT_THROW(ledger.open(ledger.root(), "a/b"), ValueError);
  EXPECT_THROW(Ledger(host(1), ""), ValueError);
  EXPECT_THROW(Ledger(host(1), "a/b"), ValueError);
  EXPECT_EQ(ledger.snapshot().size(), 2u);
}

TEST(Ledger, RefusesAParentOfAnotherLedger) {
  Ledger one(host(1)), other(host(1));
  EXPECT_THROW(one.open(other.root(), "a"), ValueError);
  EXPECT_THROW(one.open(other.open(other.root(), "a"), "b"), ValueError);
}

TEST(Ledger, HoldsAPathOfMaxDepthAndRefusesALongerOne) {
  Ledger ledger(Footprint::unlimited());
  Account leaf = ledger.root();
  for (std::size_t depth = 2; depth <= Ledger::max_depth; ++depth) leaf = ledger.open(leaf, "x");
  EXPECT_THROW(ledger.open(leaf, "x"), ValueError);
  Reservation r(leaf);
  const Footprint one{{Bytes{1}, Bytes{1}, Bytes{1}}};
  ASSERT_FALSE(r.try_grow(one));
  for (const auto& line : ledger.snapshot()) EXPECT_EQ(line.peak, one);
}

// The path is as long as it may be: a ledger that adds on the way up before the root says no would hold the giant at
// the leaf for most of its time, and the small request would soon meet it there.
TEST(Ledger, ARequestThatCannotFitNeverMakesASmallOneFail) {
  Ledger ledger(host(1000));
  Account leaf = ledger.root();
  for (std::size_t depth = 2; depth <= Ledger::max_depth; ++depth) leaf = ledger.open(leaf, "x", host(2010));
  std::atomic<bool> started{false}, stop{false};
  std::thread giant([&] {
    Reservation r(leaf);
    while (!stop) {
      EXPECT_TRUE(r.try_grow(host(2005)));  // fits every account but the root
      started = true;
    }
  });
  while (!started) std::this_thread::yield();
  const auto end = std::chrono::steady_clock::now() + std::chrono::milliseconds(500);
  bool denied = false;
  while (!denied && std::chrono::steady_clock::now() < end) {
    Reservation small(leaf);
    denied = small.try_grow(host(10)).has_value();
  }
  stop = true;
  giant.join();
  EXPECT_FALSE(denied);
}

TEST(Ledger, AccountsMayBeOpenedWhileOthersAreDeniedAndListed) {
  Ledger ledger(host(10));
  std::atomic<bool> stop{false};
  std::thread reader([&] {
    Reservation r(ledger.root());
    while (!stop) {
      EXPECT_TRUE(r.try_grow(host(11)));
      const auto lines = ledger.snapshot();
      EXPECT_EQ(lines.front().path, "root");
    }
  });
  std::thread other([&] {
    for (int i = 0; i < 200; ++i) ledger.open(ledger.root(), "other " + std::to_string(i));
  });
  Account leaf = ledger.root();
  for (int i = 0; i < 200; ++i) {
    if (i % 20 == 0) leaf = ledger.root();
    leaf = ledger.open(leaf, "mine " + std::to_string(i));
  }
  other.join();
  stop = true;
  reader.join();
  EXPECT_EQ(ledger.snapshot().size(), 401u);
}

}  // namespace
}  // namespace mpp

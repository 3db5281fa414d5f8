#include <mpp/core/memory/reservation.hpp>

#include <gtest/gtest.h>

#include <memory>
#include <stdexcept>
#include <utility>

#include <mpp/core/error.hpp>
#include "support/allocation_counter.hpp"

namespace mpp {
namespace {

using testing_support::allocations;

Footprint host(std::uint64_t bytes) { return Footprint::host(Bytes{bytes}); }

class ReservationTest : public testing::Test {
 protected:
  Ledger ledger_{host(1000)};
  Account account_ = ledger_.open(ledger_.root(), "a");
};

TEST_F(ReservationTest, ReturnsItsBytesWhenARequestThrows) {
  const auto request = [&] {
    Reservation r(account_);
    ASSERT_FALSE(r.try_grow(host(100)));
    r.use(host(60));
    r.retire(host(20));
    throw std::runtime_error("request failed");
  };
  EXPECT_THROW(request(), std::runtime_error);
  for (const auto& line : ledger_.snapshot()) {
    EXPECT_TRUE(line.committed.empty());
    EXPECT_TRUE(line.used.empty());
    EXPECT_TRUE(line.retiring.empty());
    EXPECT_EQ(line.peak, host(100));
  }
}

TEST_F(ReservationTest, ReservedIsUnusedPlusUsedPlusRetiring) {
  Reservation r(account_);
  ASSERT_FALSE(r.try_grow(host(100)));
  r.use(host(60));
  r.retire(host(20));
  EXPECT_EQ(r.unused(), host(40));
  EXPECT_EQ(r.used(), host(40));
  EXPECT_EQ(r.retiring(), host(20));
  r.settle(host(15));
  r.unuse(host(10));
  EXPECT_EQ(r.unused(), host(65));
  EXPECT_EQ(r.used(), host(30));
  EXPECT_EQ(r.retiring(), host(5));
  EXPECT_EQ(r.reserved(), host(100));
  EXPECT_EQ(account_.used(), host(30));
  EXPECT_EQ(account_.retiring(), host(5));
}

TEST_F(ReservationTest, RetiringBytesCountAgainstTheCapUntilSettled) {
  Reservation r(account_);
  ASSERT_FALSE(r.try_grow(host(1000)));
  r.use(host(1000));
  r.retire(host(1000));
  EXPECT_THROW(r.shrink(host(1)), ValueError);
  Reservation other(account_);
  EXPECT_TRUE(other.try_grow(host(1)));
  r.settle(host(1));
  r.shrink(host(1));
  EXPECT_FALSE(other.try_grow(host(1)));
}

TEST_F(ReservationTest, AskingForMoreThanThereIsThrowsAndChangesNothing) {
  Reservation r(account_);
  ASSERT_FALSE(r.try_grow(host(10)));
  r.use(host(6));
  r.retire(host(2));
  EXPECT_THROW(r.shrink(host(5)), ValueError);
  EXPECT_THROW(r.use(host(5)), ValueError);
  EXPECT_THROW(r.unuse(host(5)), ValueError);
  EXPECT_THROW(r.retire(host(5)), ValueError);
  EXPECT_THROW(r.settle(host(3)), ValueError);
  EXPECT_THROW(r.use(Footprint::device(Bytes{1})), ValueError);
  EXPECT_EQ(r.unused(), host(4));
  EXPECT_EQ(r.used(), host(4));
  EXPECT_EQ(r.retiring(), host(2));
  EXPECT_EQ(account_.committed(), host(10));
  EXPECT_EQ(account_.used(), host(4));
  EXPECT_EQ(account_.retiring(), host(2));
  try {
    r.use(host(5));
  } catch (const ValueError& error) {
    EXPECT_STREQ(error.what(), "Reservation::use: 5 B of host asked for, but only 4 B are unused (account root/a)");
  }
}

TEST_F(ReservationTest, AMovedFromReservationHoldsNothing) {
  Reservation from(account_);
  ASSERT_FALSE(from.try_grow(host(100)));
  from.use(host(40));
  from.retire(host(10));
  {
    const Reservation to(std::move(from));
    EXPECT_TRUE(from.reserved().empty());  // NOLINT: the moved-from state is what is tested
    EXPECT_TRUE(from.used().empty());
    EXPECT_TRUE(from.retiring().empty());
    EXPECT_TRUE(from.peak().empty());
    EXPECT_EQ(to.reserved(), host(100));
    EXPECT_EQ(to.used(), host(30));
    EXPECT_EQ(to.peak(), host(100));
    EXPECT_EQ(account_.committed(), host(100));
  }
  EXPECT_TRUE(account_.committed().empty());
  ASSERT_FALSE(from.try_grow(host(5)));  // and may be used again
  EXPECT_EQ(account_.committed(), host(5));
}

TEST_F(ReservationTest, MoveAssignmentReturnsWhatTheTargetHeld) {
  const Account other = ledger_.open(ledger_.root(), "b");
  Reservation a(account_), b(other);
  ASSERT_FALSE(a.try_grow(host(100)));
  ASSERT_FALSE(b.try_grow(host(7)));
  a = std::move(b);
  EXPECT_TRUE(account_.committed().empty());
  EXPECT_EQ(other.committed(), host(7));
  EXPECT_EQ(a.account().path(), "root/b");
  Reservation& self = a;
  a = std::move(self);
  EXPECT_EQ(a.reserved(), host(7));
  EXPECT_EQ(ledger_.root().committed(), host(7));
}

TEST(ReservationPath, NoAllocationUnlessDenied) {
  if (!testing_support::counts_allocations) GTEST_SKIP() << "sanitizers keep their own operator new";
  Ledger ledger(Footprint{{Bytes{100}, Bytes{100}, Bytes{100}}});
  const Account leaf = ledger.open(ledger.open(ledger.root(), "tenant"), "worker");
  const Footprint one{{Bytes{1}, Bytes{1}, Bytes{1}}};
  const std::uint64_t before = allocations;
  for (int i = 0; i < 1000; ++i) {
    Reservation r(leaf);
    if (r.try_grow(one + one)) break;
    r.use(one);
    r.retire(one);
    r.settle(one);
    r.shrink(one);
    Reservation moved(std::move(r));
  }
  EXPECT_EQ(allocations - before, 0u);
  EXPECT_EQ(leaf.peak(), one + one);
}

TEST(ReservationPath, TheTestAboveCatchesAnAllocation) {
  if (!testing_support::counts_allocations) GTEST_SKIP() << "sanitizers keep their own operator new";
  struct alignas(64) Wide {
    char bytes[64];
  };
  const std::uint64_t before = allocations;
  const auto plain = std::make_unique<int>(1);
  const auto array = std::make_unique<int[]>(3);
  const auto wide = std::make_unique<Wide>();
  EXPECT_EQ(allocations - before, 3u);
}

}  // namespace
}  // namespace mpp

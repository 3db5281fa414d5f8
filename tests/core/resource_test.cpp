#include <mpp/core/memory/resource.hpp>

#include <gtest/gtest.h>

#include <cstdint>
#include <vector>

#include <mpp/core/error.hpp>

namespace mpp {
namespace {

Footprint host(std::uint64_t bytes) { return Footprint::host(Bytes{bytes}); }

class ReservationResourceTest : public testing::Test {
 protected:
  void grow(std::uint64_t bytes) { ASSERT_FALSE(reservation_.try_grow(host(bytes))); }

  Ledger ledger_{host(4096)};
  Reservation reservation_{ledger_.root()};
  ReservationResource resource_{reservation_, MemorySpace::host};
};

TEST_F(ReservationResourceTest, AVectorWithAnExactReserveUsesExactlyTheIncrement) {
  grow(100 * sizeof(double));
  {
    std::pmr::vector<double> values(&resource_);
    values.reserve(100);
    for (int i = 0; i < 100; ++i) values.push_back(i);
    EXPECT_EQ(reservation_.used(), host(800));
    EXPECT_TRUE(reservation_.unused().empty());
  }
  EXPECT_TRUE(reservation_.used().empty());
  EXPECT_EQ(reservation_.unused(), host(800));
}

TEST_F(ReservationResourceTest, OneByteMoreThanReservedThrowsAndChangesNothing) {
  grow(100);
  EXPECT_THROW(static_cast<void>(resource_.allocate(101)), ReservationExceeded);
  void* const p = resource_.allocate(60);
  EXPECT_THROW(static_cast<void>(resource_.allocate(41)), std::bad_alloc);
  EXPECT_EQ(reservation_.used(), host(60));
  resource_.deallocate(p, 60);
  EXPECT_TRUE(reservation_.used().empty());
  EXPECT_EQ(reservation_.reserved(), host(100));
}

TEST_F(ReservationResourceTest, HoldsBothBuffersWhileAVectorGrows) {
  grow(3 * sizeof(double));
  std::pmr::vector<double> values(&resource_);
  values.push_back(1);                                     // 1 value
  values.push_back(2);                                     // 2 new values beside 1 old one
  EXPECT_THROW(values.push_back(3), ReservationExceeded);  // 4 beside 2
  EXPECT_EQ(values, (std::pmr::vector<double>{1, 2}));
  EXPECT_EQ(reservation_.used(), host(16));
}

TEST_F(ReservationResourceTest, AFailureOfTheUpstreamChangesNothing) {
  ReservationResource resource(reservation_, MemorySpace::host, std::pmr::null_memory_resource());
  grow(100);
  EXPECT_THROW(static_cast<void>(resource.allocate(10)), std::bad_alloc);
  EXPECT_TRUE(reservation_.used().empty());
  EXPECT_EQ(reservation_.unused(), host(100));
}

TEST_F(ReservationResourceTest, ChargesOnlyItsOwnSpace) {
  grow(100);
  ReservationResource disk(reservation_, MemorySpace::disk);
  EXPECT_THROW(static_cast<void>(disk.allocate(1)), ReservationExceeded);
}

TEST_F(ReservationResourceTest, AnAllocationOfNothingCostsNothing) {
  void* const p = resource_.allocate(0);
  EXPECT_TRUE(reservation_.used().empty());
  resource_.deallocate(p, 0);
}

TEST_F(ReservationResourceTest, KeepsTheAlignmentAskedFor) {
  grow(256);
  void* const p = resource_.allocate(128, 64);
  EXPECT_EQ(reinterpret_cast<std::uintptr_t>(p) % 64, 0u);
  resource_.deallocate(p, 128, 64);
}

TEST_F(ReservationResourceTest, IsEqualOnlyToItself) {
  const ReservationResource other(reservation_, MemorySpace::host);
  EXPECT_TRUE(resource_.is_equal(resource_));
  EXPECT_FALSE(resource_.is_equal(other));
}

}  // namespace
}  // namespace mpp

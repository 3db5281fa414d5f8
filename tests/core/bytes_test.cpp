#include <mpp/core/memory/bytes.hpp>

#include <gtest/gtest.h>

#include <mpp/core/memory/footprint.hpp>

namespace mpp {
namespace {

TEST(Bytes, ASumThatDoesNotFitIsTheLargestNumber) {
  EXPECT_EQ(Bytes::max() + Bytes{1}, Bytes::max());
  EXPECT_EQ(Bytes{1} + Bytes::max(), Bytes::max());
  EXPECT_EQ((Bytes{Bytes::max().count - 1} + Bytes{1}), Bytes::max());
  EXPECT_EQ((Bytes{2} + Bytes{3}), Bytes{5});
}

TEST(Bytes, ADifferenceBelowZeroIsZero) {
  EXPECT_EQ(Bytes{3} - Bytes{4}, Bytes{0});
  EXPECT_EQ(Bytes{4} - Bytes{4}, Bytes{0});
  EXPECT_EQ(Bytes{4} - Bytes{1}, Bytes{3});
}

TEST(Bytes, AProductThatDoesNotFitIsTheLargestNumber) {
  EXPECT_EQ(Bytes{std::uint64_t{1} << 63} * 2, Bytes::max());
  EXPECT_EQ(Bytes::max() * 1, Bytes::max());
  EXPECT_EQ(Bytes::max() * 0, Bytes{0});
  EXPECT_EQ(bytes_of<double>(std::uint64_t{1} << 61), Bytes::max());
  EXPECT_EQ(bytes_of<double>(3), Bytes{24});
}

TEST(Footprint, KeepsTheSpacesApart) {
  Footprint f = Footprint::device(Bytes{1}) + Footprint::host(Bytes{2}) + Footprint::disk(Bytes{3});
  EXPECT_EQ(f[MemorySpace::device], Bytes{1});
  EXPECT_EQ(f[MemorySpace::host], Bytes{2});
  EXPECT_EQ(f[MemorySpace::disk], Bytes{3});
  EXPECT_EQ(f.total(), Bytes{6});
  f -= Footprint::host(Bytes{5});
  EXPECT_EQ(f[MemorySpace::host], Bytes{0});
  EXPECT_EQ(f.total(), Bytes{4});
}

TEST(Footprint, WithinIsAPartialOrder) {
  const Footprint device = Footprint::device(Bytes{1}), host = Footprint::host(Bytes{1});
  EXPECT_FALSE(device.within(host));
  EXPECT_FALSE(host.within(device));
  EXPECT_TRUE(device.within(device + host));
  EXPECT_TRUE(Footprint{}.within(Footprint{}));
  EXPECT_TRUE(Footprint{}.empty());
  EXPECT_FALSE(host.empty());
  EXPECT_FALSE(Footprint::unlimited().empty());
}

TEST(MemorySpace, HasANameForEverySpace) {
  EXPECT_EQ(name(MemorySpace::device), "device");
  EXPECT_EQ(name(MemorySpace::host), "host");
  EXPECT_EQ(name(MemorySpace::disk), "disk");
}

}  // namespace
}  // namespace mpp

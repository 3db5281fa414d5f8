#include <cmath>
#include <limits>

#include <gtest/gtest.h>

#include <mpp/kernels/half.hpp>

#include "reference/quad.hpp"

namespace mpp::kernels {
namespace {

constexpr std::uint16_t infinity_bits = 0x7C00;
constexpr int sign_bit = 0x8000;

Half half_of(int bits) { return {static_cast<std::uint16_t>(bits)}; }

TEST(Half, EveryBitPatternHasTheValueOfTheStandard) {
  for (int bits = 0; bits < 65536; ++bits) {
    const double expected = reference::half_value(half_of(bits));
    const float value = to_float(half_of(bits));
    ASSERT_TRUE(std::isnan(expected) ? std::isnan(value) : value == expected) << "bits " << bits;
    ASSERT_TRUE(std::isnan(value) || std::signbit(value) == std::signbit(expected)) << "bits " << bits;
  }
}

TEST(Half, RoundsEveryNeighbourhoodToNearestEvenAndUp) {
  for (int bits = 0; bits < infinity_bits - 1; ++bits) {
    const double low = reference::half_value(half_of(bits)), high = reference::half_value(half_of(bits + 1));
    const double middle = low + (high - low) / 2;
    const Half even = half_of(bits % 2 == 0 ? bits : bits + 1);
    ASSERT_EQ(nearest_half(low), half_of(bits));
    ASSERT_EQ(nearest_half(middle), even) << bits;
    ASSERT_EQ(nearest_half(std::nextafter(middle, 0.0)), half_of(bits)) << bits;
    ASSERT_EQ(nearest_half(std::nextafter(middle, high)), half_of(bits + 1)) << bits;
    ASSERT_EQ(nearest_half(-std::nextafter(middle, high)), half_of((bits + 1) | sign_bit)) << bits;
    ASSERT_EQ(half_above(low), half_of(bits));
    ASSERT_EQ(half_above(std::nextafter(low, high)), half_of(bits + 1)) << bits;
    ASSERT_EQ(half_above(std::nextafter(high, low)), half_of(bits + 1)) << bits;
    ASSERT_EQ(to_float(half_above(-middle)), -static_cast<float>(low)) << bits;
  }
}

TEST(Half, OverflowGivesInfinityAndNotANumberStays) {
  constexpr double inf = std::numeric_limits<double>::infinity();
  EXPECT_EQ(nearest_half(65519.9), half_of(infinity_bits - 1));
  EXPECT_EQ(nearest_half(65520.0), half_of(infinity_bits));
  EXPECT_EQ(half_above(65504.0), half_of(infinity_bits - 1));
  EXPECT_EQ(half_above(std::nextafter(65504.0, inf)), half_of(infinity_bits));
  EXPECT_EQ(nearest_half(inf), half_of(infinity_bits));
  EXPECT_EQ(half_above(inf), half_of(infinity_bits));
  EXPECT_TRUE(std::isnan(to_float(nearest_half(std::nan("")))));
  EXPECT_TRUE(std::isnan(to_float(half_above(std::nan("")))));
}

TEST(Half, TheSmallestPositiveDoubleIsRoundedUpToTheSmallestHalf) {
  constexpr double tiny = std::numeric_limits<double>::denorm_min();
  EXPECT_EQ(nearest_half(tiny), half_of(0));
  EXPECT_EQ(half_above(tiny), half_of(1));
}

}  // namespace
}  // namespace mpp::kernels

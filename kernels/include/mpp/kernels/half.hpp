#pragma once
#include <bit>
#include <cstdint>

namespace mpp::kernels {

/// IEEE binary16 as stored in memory. 11 bits of precision; normal from 2^-14 to 65504.
struct Half {
  std::uint16_t bits{};
  friend constexpr bool operator==(Half, Half) noexcept = default;
};

/// Exact.
[[nodiscard]] constexpr float to_float(Half value) noexcept {
  const std::uint32_t magnitude = value.bits & 0x7FFFU;
  const std::uint32_t sign = static_cast<std::uint32_t>(value.bits & 0x8000U) << 16;
  // The fields of a float one exponent bias lower: true of subnormal numbers too.
  const float moved = std::bit_cast<float>(magnitude << 13) * 0x1p112F;
  const std::uint32_t bits = magnitude < 0x7C00U ? std::bit_cast<std::uint32_t>(moved) : 0x7F800000U | magnitude << 13;
  return std::bit_cast<float>(bits | sign);
}
[[nodiscard]] Half nearest_half(double value) noexcept;  ///< ties to even; overflow gives infinity; NaN stays NaN
[[nodiscard]] Half half_above(double value) noexcept;  ///< smallest Half >= value; infinity above 65504; NaN stays NaN

}  // namespace mpp::kernels

#pragma once
#include <cstdint>

namespace mpp::kernels {

/// IEEE binary16 as stored in memory. 11 bits of precision; normal from 2^-14 to 65504.
struct Half {
  std::uint16_t bits{};
  friend constexpr bool operator==(Half, Half) noexcept = default;
};

[[nodiscard]] float to_float(Half value) noexcept;       ///< exact
[[nodiscard]] Half nearest_half(double value) noexcept;  ///< ties to even; overflow gives infinity; NaN stays NaN
[[nodiscard]] Half half_above(double value) noexcept;  ///< smallest Half >= value; infinity above 65504; NaN stays NaN

}  // namespace mpp::kernels

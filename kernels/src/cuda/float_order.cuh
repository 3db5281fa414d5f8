#pragma once
#include <cstdint>

namespace mpp::kernels::cuda {

/// Unsigned integers in the order of the floats they stand for; -0 and +0 become one. NaN has no place in it, and
/// all are above 0.
__device__ inline std::uint32_t ordered_bits(float value) {
  constexpr std::uint32_t sign = 0x80000000U;
  const std::uint32_t bits = __float_as_uint(value == 0.0F ? 0.0F : value);
  return (bits & sign) != 0 ? ~bits : bits | sign;
}

/// The float that ordered_bits() made `bits` of.
__host__ __device__ inline float float_of_order(std::uint32_t bits) {
  constexpr std::uint32_t sign = 0x80000000U;
  const std::uint32_t pattern = (bits & sign) != 0 ? bits & ~sign : ~bits;
  float value;
  static_assert(sizeof(value) == sizeof(pattern));
  memcpy(&value, &pattern, sizeof(value));
  return value;
}

}  // namespace mpp::kernels::cuda

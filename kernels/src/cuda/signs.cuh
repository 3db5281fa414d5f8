#pragma once
// Signs and halves as every kernel of this folder reads them.
#include <cstdint>

#include <cuda_fp16.h>

#include <mpp/kernels/sign_code.hpp>

namespace mpp::kernels::cuda {

/// Device code cannot name the host's arrays of sizes, but it may copy them as constants.
__device__ constexpr std::size_t slices_of(std::size_t plane) {
  constexpr auto of = plane_slices;
  return of[plane];
}
/// Slices up to and with the plane.
__device__ constexpr std::size_t end_of(std::size_t plane) {
  constexpr auto of = plane_end;
  return of[plane];
}

/// Four sign bits as four bytes 0 or 1, lowest bit first. The four shifted copies do not overlap: 0, 7, 14, 21.
__device__ inline int spread_bits(std::uint32_t nibble) {
  return static_cast<int>((nibble * 0x00204081U) & 0x01010101U);
}

__device__ inline float device_float(Half value) { return __half2float(__ushort_as_half(value.bits)); }

__device__ inline Half device_nearest_half(double value) { return {__half_as_ushort(__double2half(value))}; }

/// Smallest Half >= value, for value >= 0. The bits of non-negative halves are ordered like their values, so the
/// next one is one more; above 65504 it is infinity.
__device__ inline Half device_half_above(double value) {
  const Half nearest = device_nearest_half(value);
  return static_cast<double>(device_float(nearest)) < value ? Half{static_cast<std::uint16_t>(nearest.bits + 1)}
                                                            : nearest;
}

}  // namespace mpp::kernels::cuda

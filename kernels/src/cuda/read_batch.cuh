#pragma once
// Reads as the argument of a kernel, so that nothing has to be copied to the device first.
#include <cstddef>

#include <mpp/kernels/attend_paged.hpp>

#include "attend_buffers.cuh"

namespace mpp::kernels::cuda {

/// Of a block of attend_paged(): warps, and threads.
inline constexpr unsigned run_warps = 4;
inline constexpr unsigned run_width = run_warps * warp;

/// A call of more reads needs several launches.
inline constexpr std::size_t max_batch = 256;
struct Batch {
  AttendShape shape;
  unsigned count;
  KvRead read[max_batch];
};
static_assert(sizeof(Batch) < 32'000);  // what kernel parameters may take

/// Bits of what went wrong.
inline constexpr unsigned query_fault = 1, page_fault = 2, stale_fault = 4, empty_fault = 8;

}  // namespace mpp::kernels::cuda

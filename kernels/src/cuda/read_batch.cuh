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
  unsigned count, first;  // reads, and the number of the first one in the call
  KvRead read[max_batch];
};
static_assert(sizeof(Batch) < 32'000);  // what kernel parameters may take

enum class ReadFault : unsigned { malformed, stale, query, empty };

/// The first fault that a call found, in the order of reads, of pages or heads, and of kinds; all bits set while there is
/// none. Of a run with a malformed page nothing else is looked at.
struct FirstFault {
  static constexpr unsigned last = ~0U >> 2;  // behind all pages: what a malformed page leaves behind may look empty
  unsigned long long bits;

  __device__ void report(unsigned read, unsigned at, ReadFault fault) {
    atomicMin(&bits, (static_cast<unsigned long long>(read) << 32) | at << 2 | static_cast<unsigned>(fault));
  }
  [[nodiscard]] bool none() const { return bits == ~0ULL; }
  [[nodiscard]] std::size_t read() const { return bits >> 32; }
  [[nodiscard]] std::size_t at() const { return (bits & ~0U) >> 2; }  // page, or head
  [[nodiscard]] ReadFault fault() const { return static_cast<ReadFault>(bits & 3); }
};
static_assert(max_read_pages < FirstFault::last);

}  // namespace mpp::kernels::cuda

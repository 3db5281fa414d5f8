#pragma once
// The instructions of a warp that C++ has no words for: products of small tiles on the tensor cores, and copies into shared
// memory that run while the warp does something else.
//
// A lane is 4 g + t. Of the first operand, 16 rows, it holds row g in registers 0 and 2 and row g + 8 in 1 and 3; of the
// second, 8 columns, it holds column g; of the sums rows g (0, 1) and g + 8 (2, 3) of columns 2 t and 2 t + 1. Both operands
// split the numbers that are summed over among t in the same way: any order of these is as good.
#include <cstdint>

namespace mpp::kernels::cuda {

/// sums += unsigned bytes * signed bytes, 32 to a row.
__device__ inline void multiply_signed(int (&sums)[4], const std::uint32_t (&a)[4], const std::uint32_t (&b)[2]) {
  asm("mma.sync.aligned.m16n8k32.row.col.s32.u8.s8.s32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
      : "+r"(sums[0]), "+r"(sums[1]), "+r"(sums[2]), "+r"(sums[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
}

/// sums += unsigned bytes * unsigned bytes, 32 to a row.
__device__ inline void multiply_unsigned(int (&sums)[4], const std::uint32_t (&a)[4], const std::uint32_t (&b)[2]) {
  asm("mma.sync.aligned.m16n8k32.row.col.s32.u8.u8.s32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
      : "+r"(sums[0]), "+r"(sums[1]), "+r"(sums[2]), "+r"(sums[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
}

/// Products of 16-bit floats, 16 to a row, in float. Their sum starts at 0: see tensor_core_error.
template <bool bfloat>
__device__ inline void multiply_floats(float (&sums)[4], const std::uint32_t (&a)[4], const uint2& b) {
  if constexpr (bfloat)
    asm("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, "
        "{%10, %10, %10, %10};"
        : "=f"(sums[0]), "=f"(sums[1]), "=f"(sums[2]), "=f"(sums[3])
        : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b.x), "r"(b.y), "f"(0.0F));
  else
    asm("mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, "
        "{%10, %10, %10, %10};"
        : "=f"(sums[0]), "=f"(sums[1]), "=f"(sums[2]), "=f"(sums[3])
        : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b.x), "r"(b.y), "f"(0.0F));
}

/// Bits of x where the mask has ones, of y where it has zeros: one instruction, which the compiler does not make of constants.
__device__ inline std::uint32_t select_bits(std::uint32_t mask, std::uint32_t x, std::uint32_t y) {
  std::uint32_t selected;
  asm("lop3.b32 %0, %1, %2, %3, 0xCA;" : "=r"(selected) : "r"(mask), "r"(x), "r"(y));
  return selected;
}

/// Starts to copy 16 bytes into shared memory; zeros, if they are not `there`: then nothing is read.
__device__ inline void copy_16(void* shared, const void* global, bool there) {
  const auto to = static_cast<std::uint32_t>(__cvta_generic_to_shared(shared));
  asm volatile("cp.async.cg.shared.global.L2::128B [%0], [%1], 16, %2;" ::"r"(to), "l"(global), "r"(there ? 16 : 0)
               : "memory");
}
__device__ inline void copy_8(void* shared, const void* global) {
  const auto to = static_cast<std::uint32_t>(__cvta_generic_to_shared(shared));
  asm volatile("cp.async.ca.shared.global [%0], [%1], 8;" ::"r"(to), "l"(global) : "memory");
}
/// Ends a group of copies of this lane.
__device__ inline void commit_copies() { asm volatile("cp.async.commit_group;" ::: "memory"); }
/// Waits until at most `later` groups are under way, and for the other lanes: then the warp sees what all have copied.
template <unsigned later>
__device__ inline void wait_for_copies() {
  asm volatile("cp.async.wait_group %0;" ::"n"(later) : "memory");
  __syncwarp();
}

}  // namespace mpp::kernels::cuda

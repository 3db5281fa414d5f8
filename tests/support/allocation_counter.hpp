#pragma once
// Replaces the global operator new of a binary, so that a test or a benchmark can prove that a path allocates nothing.
// Include it in exactly one source of the binary. AddressSanitizer and ThreadSanitizer keep their own operators (a
// mixture would miss the array forms that they define): `counts_allocations` is false there.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <new>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define MPP_COUNTS_ALLOCATIONS 0
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define MPP_COUNTS_ALLOCATIONS 0
#endif
#endif
#ifndef MPP_COUNTS_ALLOCATIONS
#define MPP_COUNTS_ALLOCATIONS 1
#endif

namespace mpp::testing_support {

inline constexpr bool counts_allocations = MPP_COUNTS_ALLOCATIONS == 1;

/// Calls of operator new by this thread so far.
inline thread_local std::uint64_t allocations = 0;

}  // namespace mpp::testing_support

#if MPP_COUNTS_ALLOCATIONS
// The array and nothrow forms of the standard library call these. Not inlined: GCC would see malloc meet delete and
// warn.
[[gnu::noinline]] void* operator new(std::size_t bytes) {
  ++mpp::testing_support::allocations;
  if (void* const p = std::malloc(bytes == 0 ? 1 : bytes)) return p;
  throw std::bad_alloc();
}
[[gnu::noinline]] void* operator new(std::size_t bytes, std::align_val_t alignment) {
  ++mpp::testing_support::allocations;
  const auto unit = static_cast<std::size_t>(alignment);
  if (bytes <= static_cast<std::size_t>(-1) - unit)
    if (void* const p = std::aligned_alloc(unit, (bytes + unit - 1) / unit * unit + (bytes == 0 ? unit : 0))) return p;
  throw std::bad_alloc();
}
[[gnu::noinline]] void operator delete(void* p) noexcept { std::free(p); }
[[gnu::noinline]] void operator delete(void* p, std::size_t) noexcept { std::free(p); }
[[gnu::noinline]] void operator delete(void* p, std::align_val_t) noexcept { std::free(p); }
[[gnu::noinline]] void operator delete(void* p, std::size_t, std::align_val_t) noexcept { std::free(p); }
#endif

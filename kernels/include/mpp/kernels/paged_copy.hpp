#pragma once
#include <cstddef>
#include <span>

#include <mpp/kernels/context.hpp>

namespace mpp::kernels {

/// One piece of memory to copy. On CUDA each side may be device memory or pinned host memory (HostBytes).
struct CopyItem {
  const std::byte* source = nullptr;
  std::byte* target = nullptr;
  std::size_t bytes = 0;
};

/// Copies many small pieces in one go: exact pages and planes between host and device, for promotion and eviction.
/// Returns when all have arrived. Pieces must not overlap; those aligned to 16 bytes move 16 at a time.
///
/// @param items  host array
/// @throws ShapeError for a null side of a piece that is not empty
/// Tested by: tests/kernels/paged_copy_test.cpp
void paged_copy(const Context& context, std::span<const CopyItem> items);

}  // namespace mpp::kernels

#pragma once
#include <mpp/kernels/attend_paged.hpp>

// Sizes of prefill_paged() on CUDA.
namespace mpp::kernels::cuda {

/// Rows are queries: of a token, and of a head of the group. A tile of this many has work for all multiprocessors in both
/// matrix products, and its logits (16 MiB) stay in the second-level cache of a large GPU between them.
inline constexpr std::size_t tile_rows = 8192;
inline constexpr std::size_t tile_tokens = 8 * page_tokens;

/// Of the scratch memory: cuBLAS wants this alignment, and this much is what it would take by itself on most GPUs.
inline constexpr std::size_t blas_alignment = 256;
inline constexpr std::size_t blas_workspace_bytes = 4 << 20;

/// The workspace of cuBLAS, logits, keys and values of a tile, and the largest logit and the total of each row.
constexpr std::size_t prefill_scratch_floats(const AttendShape& shape) noexcept {
  return (blas_alignment + blas_workspace_bytes) / sizeof(float) + tile_rows * tile_tokens +
         2 * tile_tokens * shape.head_dim + 2 * tile_rows;
}

}  // namespace mpp::kernels::cuda

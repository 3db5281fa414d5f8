#pragma once
#include <cstddef>
#include <span>

#include <mpp/kernels/attend_paged.hpp>

namespace mpp::kernels {

/// The newest tokens of a sequence as queries over all tokens up to themselves, for one KV head. Memory of the context's
/// device.
struct PrefillRead {
  const KvPage* pages = nullptr;   ///< [page_count], all but the last with page_tokens tokens, keys and values exact
  std::size_t page_count = 0;      ///< at least 1
  std::size_t tokens = 0;          ///< of queries: the last ones of the pages, at least 1 and at most all
  const float* queries = nullptr;  ///< [tokens][group][head_dim], finite
  float* output = nullptr;         ///< [tokens][group][head_dim], apart from the queries
};

/// Floats of scratch memory that prefill_paged() works in, whatever the number of tokens: at most 0.4 MiB on the CPU, 20 to
/// 21.1 MiB on CUDA, where tiles are larger and cuBLAS has its workspace in it.
[[nodiscard]] std::size_t prefill_scratch_floats(Device device, const AttendShape& shape) noexcept;

/// Causal attention on the exact path, for a prompt or a chunk of one: output_t = sum over i <= t of softmax(scale q_t k_i) v_i.
///
/// Blocks of queries against one page (CPU) or eight (CUDA) at a time, as two matrix products with an online softmax between
/// them: no matrix of tokens by tokens is ever stored. In float, on CUDA too: no TF32. The exact level of decode attention
/// differs from it by rounding only. The products are Eigen's on the CPU, with a BLAS behind it where there is one, and
/// cuBLAS's on CUDA; with the same library on the same GPU the results have the same bits each time.
///
/// On CUDA, cuBLAS keeps memory of its own, some tens of MiB for each GPU, from the first call until the process ends: leave
/// it out of a ledger's cap. Threads that share a GPU take turns while they launch.
///
/// @param reads    host array
/// @param scratch  at least prefill_scratch_floats(context.device, shape), memory of the device
/// @throws ShapeError; ValueError for a query that is not finite; StalePage; on CUDA these come before any output is written,
///         and BackendUnavailable if the library was built without cuBLAS
/// Tested by: tests/kernels/prefill_paged_test.cpp
void prefill_paged(const Context& context, const AttendShape& shape, std::span<const PrefillRead> reads,
                   std::span<float> scratch);

}  // namespace mpp::kernels

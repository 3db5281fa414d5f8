#pragma once
#include <cstddef>
#include <span>

#include <mpp/kernels/attend_paged.hpp>

namespace mpp::kernels {

/// The newest tokens of a sequence as queries over all tokens up to themselves, for one KV head.
struct PrefillRead {
  const KvPage* pages = nullptr;   ///< [page_count], all but the last with page_tokens tokens, keys and values exact
  std::size_t page_count = 0;      ///< at least 1
  std::size_t tokens = 0;          ///< of queries: the last ones of the pages, at least 1 and at most all
  const float* queries = nullptr;  ///< [tokens][group][head_dim], finite
  float* output = nullptr;         ///< [tokens][group][head_dim]
};

/// Floats of scratch memory that prefill_paged() works in, whatever the number of tokens.
[[nodiscard]] std::size_t prefill_scratch_floats(const AttendShape& shape) noexcept;

/// Causal attention on the exact path, for a prompt or a chunk of one: output_t = sum over i <= t of softmax(scale q_t k_i) v_i.
///
/// Blocks of queries against one page at a time, as two matrix products with an online softmax between them: no matrix of
/// tokens by tokens is ever stored. In float; the exact level of decode attention differs from it by rounding only.
/// Runs on the CPU (Eigen, with a BLAS behind it where there is one).
///
/// @param reads    host array
/// @param scratch  at least prefill_scratch_floats(shape)
/// @throws ShapeError; ValueError for a query that is not finite; StalePage; BackendUnavailable on CUDA
/// Tested by: tests/kernels/prefill_paged_test.cpp
void prefill_paged(const Context& context, const AttendShape& shape, std::span<const PrefillRead> reads,
                   std::span<float> scratch);

}  // namespace mpp::kernels

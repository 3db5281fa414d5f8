#pragma once
#include <cstddef>
#include <cstdint>
#include <span>
#include <stdexcept>

#include <mpp/kernels/context.hpp>
#include <mpp/kernels/kv_page.hpp>

namespace mpp::kernels {

/// What a read knows of each page afterwards, for a certificate: see certificate_sums.hpp. Arrays of float, [group][pages]
/// unless they say otherwise. A page that was read has a radius >= 0. An omitted one has radius -1, spread and energy 0, an
/// upper bound of its logits as max_logit and its tokens as mass, so that mass e^max_logit bounds its weight.
struct PageStatistics {
  float* max_logit = nullptr;  ///< largest logit of the page, as computed
  float* mass = nullptr;       ///< sum over its tokens of the weight w_i = e^(logit - max_logit)
  float* radius = nullptr;     ///< |exact logit - logit as computed| <= radius for every token; +infinity: unknown
  float* spread = nullptr;     ///< root of the sum over its tokens of (exact logit - logit as computed)^2 <= spread
  float* energy = nullptr;     ///< sum of w_i (|v_i| / value_reach)^2, v_i the exact value
  float* value_residual = nullptr;  ///< [pages]: |v_i - v~_i| <= it for every token; 0 exactly for exact values
  float* value_spread = nullptr;    ///< [pages]: |sum a_i (v_i - v~_i)| <= it for all a with sum a_i^2 <= 1
  float* value_reach = nullptr;     ///< [pages]: |v_i|, |v~_i| <= value_reach for every token
};

/// All queries of one KV head of one sequence: they share its pages. Memory of the context's device.
struct KvRead {
  const KvPage* pages = nullptr;   ///< [page_count], the block table
  std::size_t page_count = 0;      ///< at least 1, and not all omitted
  const float* queries = nullptr;  ///< [group][head_dim], finite
  float* output = nullptr;         ///< [group][head_dim]
  double* log_sum_exp = nullptr;   ///< [group]: ln of the sum of e^logit over the tokens read
  PageStatistics statistics;       ///< all null: no certificate wanted
};

/// Queries that share one KV head, and pages that one read may have: 4 million tokens.
inline constexpr std::size_t max_group = 16;
inline constexpr std::size_t max_read_pages = std::size_t{1} << 16;

/// What all reads of a call have in common.
struct AttendShape {
  std::size_t head_dim = 0;       ///< a multiple of 32, at most max_head_dim
  std::size_t group = 1;          ///< queries per KV head, 1 ... max_group
  KvType type = KvType::float16;  ///< of exact pages
  float scale = 0.0F;             ///< of the logits, finite and positive: usually 1 / sqrt(head_dim)
};

/// Decode attention of a few queries over pages of mixed precision: output = sum softmax(scale q k_i) v_i.
///
/// In pages of codes the step of each channel is folded into the query, which is then rounded to integers for each page;
/// dot products with codes are exact integers, the same on all devices. Weights are rounded to integers for compressed
/// values in the same way. `radius` covers the codes (min of half-step and residual norm), the rounding of the query and all
/// floating-point arithmetic; attend_rounding() says what the rest of the numbers is worth.
///
/// @param reads  host array
/// @throws ShapeError; ValueError for a query that is not finite; StalePage if the generation in the memory of a page is not
///         the one expected: outputs are then undefined
/// Tested by: tests/kernels/attend_paged_test.cpp
void attend_paged(const Context& context, const AttendShape& shape, std::span<const KvRead> reads);

/// A page was freed, and its memory perhaps given to another one, after a reader took its address.
struct StalePage : std::runtime_error {
  using std::runtime_error::runtime_error;
};

/// Error of the numbers that attend_paged() reports, on any device. `radius` needs no more: it covers its own.
///
/// With share_P = e^(max_logit_P - log_sum_exp), the weight of a page's heaviest token in the softmax,
///   |output - sum p_i v~_i| <= sum over pages of share_P (page_weight mass_P + token_weight) value_reach_P
///                              + underflow max(largest value_reach, 2^-20)
/// where token_weight counts for pages whose value_residual is not 0.
struct AttendRounding {
  double weight = 0.0;   ///< each w_i is within this, relatively, of e^(logit - max_logit) of the logits as computed,
  double flushed = 0.0;  ///< or both are at most this
  double mass = 0.0;     ///< relative error of each mass, against the sum of the w_i
  double energy = 0.0;   ///< relative error of each energy, against the sum of w_i (|v_i| / value_reach)^2,
  double energy_floor = 0.0;  ///< plus this times the mass
  double log_sum_exp = 0.0;   ///< times max(1, |log_sum_exp|): error against ln(sum of e^max_logit mass)
  double page_weight = 0.0;   ///< of the output: rounding of sums
  double token_weight = 0.0;  ///< of the output: rounding of weights to integers, over all tokens of a page
  double underflow = 0.0;     ///< of the output: shares of pages, and products with values, that are no normal floats
};
[[nodiscard]] AttendRounding attend_rounding(std::size_t page_count) noexcept;

}  // namespace mpp::kernels

#pragma once
#include <cstdint>
#include <span>

#include <mpp/kernels/context.hpp>
#include <mpp/kernels/kv_page.hpp>

namespace mpp::kernels {

/// One full page of one KV head and where its codes go. Memory of the context's device, aligned to 16 bytes.
struct PageToQuantize {
  const std::uint16_t* keys = nullptr;    ///< [page_tokens][head_dim]
  const std::uint16_t* values = nullptr;  ///< [page_tokens][head_dim]
  std::byte* metadata = nullptr;          ///< page_metadata_bytes(head_dim); all but `generation` is written
  std::uint32_t* key_planes[3] = {};      ///< a null plane is not written
  std::uint32_t* value_planes[2] = {};    ///< a null plane is not written
};

/// Codes full pages per channel, asymmetric, in nested planes of 4 bits (layout: kv_page.hpp).
///
/// Of each channel the zero is its smallest value, rounded down to Half; the step then covers the largest value from that
/// zero with 256 steps, rounded up to Half and at least the smallest positive one. So every code is within half a step. All
/// residuals and norms of the summary are measured against what the codes stand for, and rounded up.
///
/// A channel outside the range of Half (possible in bfloat16 only) gets step and zero 0, and its page infinite residuals:
/// nothing is then known of it but by its exact numbers. Planes and metadata of all devices are identical, byte for byte.
///
/// On the CPU a page takes some 430 KiB of stack. On CUDA a block takes 400 head_dim + 39 KiB of shared memory, which GPUs with
/// 99 KiB for a block have up to head_dim 128.
///
/// @param pages     host array of views
/// @param head_dim  a multiple of 32, at most max_head_dim
/// @throws ShapeError; BackendUnavailable for a GPU with too little shared memory; ValueError, naming page, token and channel,
///         for NaN and infinity
/// Tested by: tests/kernels/quantize_page_test.cpp
void quantize_page(const Context& context, KvType type, std::size_t head_dim, std::span<const PageToQuantize> pages);

/// Writes what is known of pages without codes into their metadata: tokens, norms of values, key_reach and value_reach; the
/// rest of each summary becomes 0. Keys and values are those of open pages, tokens 1 ... page_tokens.
///
/// @param pages  host array; all have as many tokens
/// @param known  of the first tokens the metadata was written for: with them, a page that grows by a token is summarised in
///               the time of a token, to the same bytes
void summarize_page(const Context& context, KvType type, std::size_t head_dim, std::span<const PageToQuantize> pages,
                    std::size_t tokens, std::size_t known = 0);
inline void summarize_page(const Context& context, KvType type, std::size_t head_dim, const PageToQuantize& page,
                           std::size_t tokens, std::size_t known = 0) {
  summarize_page(context, type, head_dim, std::span(&page, 1), tokens, known);
}

/// Makes planes of pages that have been coded before, from the steps and zeros in their metadata, which is only read: the same
/// planes as quantize_page() makes, and no norms. Keys or values without a plane to write may be null.
///
/// @throws ShapeError
/// Tested by: tests/kernels/encode_planes_test.cpp
void encode_planes(const Context& context, KvType type, std::size_t head_dim, std::span<const PageToQuantize> pages);

}  // namespace mpp::kernels

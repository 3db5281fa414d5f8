#pragma once
// What a warp of attend_paged() has of its pages in shared memory, and the copies that bring it there.
//
// Rows are padded by 32 bytes, so that 4 rows, one for each lane t of a group, lie in different banks. A head of fewer than
// 32 * steps channels is filled up with zeros on the way, which no sum notices. Exact numbers take more room than codes: they
// come in two halves of 32 tokens, one after the other through the same memory.
#include <mpp/kernels/kv_page.hpp>

#include "signs.cuh"
#include "tensor_core.cuh"

namespace mpp::kernels::cuda {

inline constexpr unsigned warp = 32;
inline constexpr unsigned tokens_of_page = page_tokens;
inline constexpr unsigned half_page = tokens_of_page / 2;

template <unsigned steps>  // of 32 channels
struct PageShape {
  static constexpr unsigned channels = 32 * steps;
  static constexpr unsigned pad = 32;
  static constexpr unsigned key_row = 4 * tokens_of_page + pad;
  static constexpr unsigned key_plane = channels / 8 * key_row;
  static constexpr unsigned value_row = 4 * channels + pad;
  static constexpr unsigned value_plane = tokens_of_page / 8 * value_row;
  static constexpr unsigned exact_row = 2 * channels + pad;
  static constexpr unsigned exact_half = half_page * exact_row;
  static constexpr unsigned metadata = page_summary_bytes + 8 * channels + 2 * tokens_of_page;
  static constexpr unsigned larger(unsigned a, unsigned b) { return a > b ? a : b; }
  static constexpr unsigned keys = larger(2 * key_plane, exact_half);
  static constexpr unsigned values = larger(2 * value_plane, exact_half);
};

/// Metadata in shared memory.
template <unsigned steps>
struct Metadata {
  const std::byte* at;
  __device__ const PageSummary& summary() const { return *reinterpret_cast<const PageSummary*>(at); }
  /// Field 0 ... 3: key step, key zero, value step, value zero of channels 2 pair and 2 pair + 1.
  __device__ float2 pair(unsigned field, unsigned pair) const {
    return __half22float2(reinterpret_cast<const __half2*>(at + page_summary_bytes)[field * 16 * steps + pair]);
  }
  /// Norms of values of tokens 2 pair and 2 pair + 1.
  __device__ float2 norms(unsigned pair) const {
    return __half22float2(reinterpret_cast<const __half2*>(at + page_summary_bytes)[4 * 16 * steps + pair]);
  }
};

/// The buffers of one warp. Pages alternate between two sets of metadata; keys are overwritten by those of the next page as
/// soon as the logits are there, values when the page is done.
template <unsigned steps, unsigned groups>
struct PageBuffers {
  using Shape = PageShape<steps>;
  static constexpr unsigned weight_row = tokens_of_page + 4;  // of one head: other banks than those of the next one
  alignas(16) std::byte metadata[2][Shape::metadata];
  alignas(16) std::byte keys[Shape::keys];
  alignas(16) std::byte values[Shape::values];
  alignas(16) float weights[groups][4][weight_row];
  KvPage pages[3];
};

/// visit(i) for i < count, a multiple of the warp, side by side.
template <unsigned count, class Visit>
__device__ void share_out(unsigned lane, Visit visit) {
  static_assert(count % warp == 0);
#pragma unroll 8
  for (unsigned first = 0; first < count; first += warp) visit(first + lane);
}

/// Starts the copies of one warp; the caller ends a group.
template <unsigned steps>
struct PageCopies {
  using Shape = PageShape<steps>;
  unsigned lane;
  unsigned head_dim;

  __device__ void descriptor(const KvPage* page, KvPage* to) const {
    constexpr unsigned words = sizeof(KvPage) / 8;
    if (lane < words)
      copy_8(reinterpret_cast<std::uint64_t*>(to) + lane, reinterpret_cast<const std::uint64_t*>(page) + lane);
  }

  __device__ void metadata(const std::byte* from, std::byte* to) const {
    constexpr unsigned summary = page_summary_bytes / 16, row = 4 * steps, norms = tokens_of_page / 8;
    const unsigned there = head_dim / 8;
    for (unsigned i = lane; i < summary + 4 * row + norms; i += warp) {
      const unsigned field = (i - summary) / row, at = (i - summary) % row;
      if (i < summary)
        copy_16(to + 16 * i, from + 16 * i, true);
      else if (field < 4)
        copy_16(to + 16 * i, from + page_summary_bytes + 16 * (field * there + at), at < there);
      else
        copy_16(to + 16 * i, from + page_summary_bytes + 16 * (4 * there + at), true);
    }
  }

  __device__ void key_plane(const std::uint32_t* from, std::byte* to) const {
    constexpr unsigned row = 4 * tokens_of_page / 16;
    share_out<row * 4 * steps>(lane, [&](unsigned i) {
      copy_16(to + i / row * Shape::key_row + i % row * 16, from + 4 * i, i / row < head_dim / 8);
    });
  }

  __device__ void value_plane(const std::uint32_t* from, std::byte* to) const {
    constexpr unsigned row = 8 * steps;
    share_out<row * tokens_of_page / 8>(lane, [&](unsigned i) {
      copy_16(to + i / row * Shape::value_row + i % row * 16, from + i / row * head_dim + 4 * (i % row),
              i % row < head_dim / 4);
    });
  }

  /// Keys of the tokens 4 n + 2 half and 4 n + 2 half + 1, which become rows n and 16 + n.
  __device__ void exact_keys(const KvPage& page, unsigned half, std::byte* to) const {
    constexpr unsigned row = 4 * steps;
    share_out<row * half_page>(lane, [&](unsigned i) {
      const unsigned slot = i / row, token = slot % 16 * 4 + 2 * half + slot / 16;
      copy_16(to + slot * Shape::exact_row + i % row * 16, page.exact_keys + token * head_dim + 8 * (i % row),
              token < page.tokens && i % row < head_dim / 8);
    });
  }

  /// Values of the tokens 32 half ... 32 half + 31.
  __device__ void exact_values(const KvPage& page, unsigned half, std::byte* to) const {
    constexpr unsigned row = 4 * steps;
    share_out<row * half_page>(lane, [&](unsigned i) {
      const unsigned token = half * half_page + i / row;
      copy_16(to + i / row * Shape::exact_row + i % row * 16, page.exact_values + token * head_dim + 8 * (i % row),
              token < page.tokens && i % row < head_dim / 8);
    });
  }

  /// What a page needs first. Nothing for a page that may not be read.
  __device__ void keys(const KvPage& page, std::byte* to) const {
    if (page.key_level == PageLevel::exact) {
      exact_keys(page, 0, to);
    } else if (page.key_level != PageLevel::omitted) {
      key_plane(page.key_planes[0], to);
      if (page.key_level != PageLevel::bits4) key_plane(page.key_planes[1], to + Shape::key_plane);
    }
  }
  __device__ void values(const KvPage& page, std::byte* to) const {
    if (page.value_level == PageLevel::exact) {
      exact_values(page, 0, to);
    } else if (page.value_level != PageLevel::omitted) {
      value_plane(page.value_planes[0], to);
      if (page.value_level != PageLevel::bits4) value_plane(page.value_planes[1], to + Shape::value_plane);
    }
  }
};

}  // namespace mpp::kernels::cuda

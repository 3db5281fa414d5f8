#pragma once
// What a warp of attend_paged() has of its pages in shared memory, and the copies that bring it there.
//
// Rows are padded by 32 bytes, so that 4 rows, one for each lane t of a group, lie in different banks. A head of fewer than
// 32 * steps channels is filled up with zeros on the way, which no sum notices. Exact numbers take more room than codes: they
// come in parts, one after the other through the same memory: keys of 32 tokens, values of 16; 8-bit values of 32.
#include <type_traits>

#include <mpp/kernels/kv_page.hpp>

#include "signs.cuh"
#include "tensor_core.cuh"

namespace mpp::kernels::cuda {

inline constexpr unsigned warp = 32;
inline constexpr unsigned tokens_of_page = page_tokens;
inline constexpr unsigned half_page = tokens_of_page / 2;
inline constexpr unsigned quarter_page = tokens_of_page / 4;

template <unsigned steps>  // of 32 channels
struct PageShape {
  static constexpr unsigned channels = 32 * steps;
  static constexpr unsigned pad = 32;
  static constexpr unsigned key_row = 4 * tokens_of_page + pad;
  static constexpr unsigned key_plane = channels / 8 * key_row;
  static constexpr unsigned value_row = 4 * channels + pad;
  static constexpr unsigned value_plane = tokens_of_page / 8 * value_row;
  static constexpr unsigned exact_row = 2 * channels + pad;
  static constexpr unsigned exact_keys = half_page * exact_row;
  static constexpr unsigned exact_values = quarter_page * exact_row;
  static constexpr unsigned metadata = page_summary_bytes + 8 * channels + 2 * tokens_of_page;
  static constexpr unsigned larger(unsigned a, unsigned b) { return a > b ? a : b; }
  static constexpr unsigned keys = larger(2 * key_plane, exact_keys);
  static constexpr unsigned values = larger(value_plane, exact_values);
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

/// visit(row, i) for i < width of each row, pieces of 16 bytes: the lanes of a warp side by side.
template <unsigned rows, unsigned width, class Visit>
__device__ void share_out(unsigned lane, Visit visit) {
  constexpr unsigned at_once = width < warp ? warp / width : 1;
  static_assert(rows % at_once == 0 && (width < warp ? warp : width) % (width < warp ? width : warp) == 0);
#pragma unroll 8
  for (unsigned row = 0; row < rows; row += at_once)
#pragma unroll
    for (unsigned i = 0; i < width; i += warp) visit(row + (width < warp ? lane / width : 0), i + lane % width % warp);
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
    if (lane < summary) copy_16(to + 16 * lane, from + 16 * lane, true);
    to += page_summary_bytes, from += page_summary_bytes;
    with_dim([&](auto dim) {
      share_out<4, row>(lane, [&](unsigned field, unsigned i) {
        copy_16(to + 16 * (field * row + i), from + 2 * field * dim + 16 * i, i < dim / 8);
      });
      if (lane < norms) copy_16(to + 16 * (4 * row + lane), from + 8 * dim + 16 * lane, true);
    });
  }

  __device__ void key_plane(const std::uint32_t* from, std::byte* to) const {
    with_dim([&](auto dim) {
      share_out<4 * steps, 4 * tokens_of_page / 16>(lane, [&](unsigned row, unsigned i) {
        copy_16(to + row * Shape::key_row + 16 * i, from + row * tokens_of_page + 4 * i, row < dim / 8);
      });
    });
  }

  /// `rows` groups of 8 tokens.
  template <unsigned rows>
  __device__ void value_rows(const std::uint32_t* from, std::byte* to) const {
    with_dim([&](auto dim) {
      share_out<rows, 8 * steps>(lane, [&](unsigned row, unsigned i) {
        copy_16(to + row * Shape::value_row + 16 * i, from + row * dim + 4 * i, i < dim / 4);
      });
    });
  }
  /// Both planes of the tokens 32 half ... 32 half + 31.
  __device__ void wide_values(const KvPage& page, unsigned half, std::byte* to) const {
    constexpr unsigned rows = tokens_of_page / 16;
    const std::size_t first = std::size_t{half} * rows * head_dim;
    value_rows<rows>(page.value_planes[0] + first, to);
    value_rows<rows>(page.value_planes[1] + first, to + rows * Shape::value_row);
  }

  /// Keys of the tokens 4 n + 2 half and 4 n + 2 half + 1, which become rows n and 16 + n.
  __device__ void exact_keys(const KvPage& page, unsigned half, std::byte* to) const {
    const std::uint16_t* const from = page.exact_keys;
    const unsigned tokens = page.tokens;
    with_dim([&](auto dim) {
      share_out<half_page, 4 * steps>(lane, [&](unsigned row, unsigned i) {
        const unsigned token = row % 16 * 4 + 2 * half + row / 16;
        copy_16(to + row * Shape::exact_row + 16 * i, from + token * dim + 8 * i, token < tokens && i < dim / 8);
      });
    });
  }

  /// Values of the tokens 16 quarter ... 16 quarter + 15.
  __device__ void exact_values(const KvPage& page, unsigned quarter, std::byte* to) const {
    const std::uint16_t* const from = page.exact_values;
    const unsigned tokens = page.tokens;
    with_dim([&](auto dim) {
      share_out<quarter_page, 4 * steps>(lane, [&](unsigned row, unsigned i) {
        const unsigned token = quarter * quarter_page + row;
        copy_16(to + row * Shape::exact_row + 16 * i, from + token * dim + 8 * i, token < tokens && i < dim / 8);
      });
    });
  }

  /// What a page needs first.
  __device__ void keys(const KvPage& page, std::byte* to) const {
    if (page.key_level == PageLevel::exact) {
      exact_keys(page, 0, to);
    } else if (page.key_level != PageLevel::omitted) {
      key_plane(page.key_planes[0], to);
      if (page.key_level != PageLevel::bits4) key_plane(page.key_planes[1], to + Shape::key_plane);
    }
  }
  __device__ void values(const KvPage& page, std::byte* to) const {
    if (page.value_level == PageLevel::exact)
      exact_values(page, 0, to);
    else if (page.value_level == PageLevel::bits8)
      wide_values(page, 0, to);
    else if (page.value_level == PageLevel::bits4)
      value_rows<tokens_of_page / 8>(page.value_planes[0], to);
  }

 private:
  // With the number of channels as a constant where the head fills its buffers: addresses are then constants too.
  template <class Copy>
  __device__ void with_dim(Copy copy) const {
    if (head_dim == Shape::channels)
      copy(std::integral_constant<unsigned, Shape::channels>());
    else
      copy(head_dim);
  }
};

}  // namespace mpp::kernels::cuda

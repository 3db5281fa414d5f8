#pragma once
#include <cstddef>
#include <cstdint>
#include <type_traits>

#include <mpp/kernels/half.hpp>

namespace mpp::kernels {

/// Tokens of a page.
inline constexpr std::size_t page_tokens = 64;
/// Channels of a head: a multiple of 32, at most this.
inline constexpr std::size_t max_head_dim = 256;

/// How exact keys and values are stored. Both have 16 bits.
enum class KvType : std::uint8_t { float16, bfloat16 };

/// What a read takes of the keys, and of the values, of a page. Codes are nested: each level adds a plane of 4 bits a number.
enum class PageLevel : std::uint8_t {
  omitted,  ///< nothing: only bounds of what the page would have contributed
  bits4,    ///< the high plane
  bits8,    ///< and the low plane
  bits12,   ///< and the fine plane; keys only
  exact,    ///< the stored 16-bit numbers
};

/// What is known of a page beside its codes: 56 bytes. Every number is rounded up.
struct PageSummary {
  std::uint32_t generation = 0;  ///< of the memory of the page: a reader that expects another one holds a stale page
  std::uint32_t tokens = 0;      ///< that the page has, at most page_tokens
  float key_residual[3] = {};    ///< per level: >= |(k_i - k~_i) / step of the level|, over channels, for every token i
  float value_residual[2] = {};  ///< per level: >= |v_i - v~_i| for every token, > 0
  float key_reach = 0.0F;        ///< >= every |k_i|, and with codes the norm over channels of |zero| + 256 step
  float code_norm = 0.0F;        ///< >= |code - middle| for every token at every level, in steps of the 8-bit level
  float value_reach = 0.0F;      ///< >= |v_i| and |v~_i| for every token at every level
  float key_spread[2] = {};      ///< 8 and 12 bits: >= the spectral norm of the matrix of (k_i - k~_i) / step, [tokens]
  float value_spread[2] = {};    ///< per level: >= the spectral norm of the matrix of v_i - v~_i, > 0
};
static_assert(sizeof(PageSummary) == 56);

/// Metadata of one page of one KV head, in one piece:
///
///   PageSummary, padded to 64 bytes | Half[4][head_dim]: key step, key zero, value step, value zero
///   | Half[64]: |v_i| / value_reach of the exact values, to nearest; 0 for a token that is not there
///
/// step is that of the 8-bit level; the step of level b is step * 2^(8 - b), and a channel's code c at level b stands for
/// zero + (c + 1/2) * step_b, at most half a step away from the number it was made of.
inline constexpr std::size_t page_summary_bytes = 64;
constexpr std::size_t page_metadata_bytes(std::size_t head_dim) noexcept {
  return page_summary_bytes + (4 * head_dim + page_tokens) * sizeof(Half);
}
/// The metadata of a page, field by field. Byte is std::byte, or const std::byte to read only.
template <class Byte>
struct PageFields {
  template <class T>
  using Like = std::conditional_t<std::is_const_v<Byte>, const T, T>;

  Like<PageSummary>* summary;
  Like<Half>*key_step, *key_zero, *value_step, *value_zero;  ///< [head_dim] each
  Like<Half>* value_norm;                                    ///< [page_tokens]

  PageFields(Byte* metadata, std::size_t head_dim) noexcept
      : summary(reinterpret_cast<Like<PageSummary>*>(metadata)),
        key_step(reinterpret_cast<Like<Half>*>(metadata + page_summary_bytes)), key_zero(key_step + head_dim),
        value_step(key_zero + head_dim), value_zero(value_step + head_dim), value_norm(value_zero + head_dim) {}
};

/// One plane: 4 bits of each number of a page.
constexpr std::size_t page_plane_bytes(std::size_t head_dim) noexcept { return page_tokens * head_dim / 2; }
/// The exact keys, or values, of a page.
constexpr std::size_t page_exact_bytes(std::size_t head_dim) noexcept { return page_tokens * head_dim * 2; }

/// Where a page is. A plane is a matrix of 4-bit codes, kept as 32-bit words of 8 rows of one column:
///
///   keys    word[channel / 8][token]     value planes    word[token / 8][channel]
///
/// Nibble r of a word's low half is row 2r of its 8 rows, nibble r of its high half row 2r + 1: what multiplies pairs of
/// 16-bit integers takes a word apart with shifts and masks, and 4 rows are one register of an 8-bit tensor core.
///
/// Views of memory of the context's device; null where the levels do not need it. Aligned to 16 bytes.
struct KvPage {
  const std::byte* metadata = nullptr;          ///< page_metadata_bytes(head_dim)
  const std::uint32_t* key_planes[3] = {};      ///< high, low, fine
  const std::uint32_t* value_planes[2] = {};    ///< high, low
  const std::uint16_t* exact_keys = nullptr;    ///< [tokens][head_dim]
  const std::uint16_t* exact_values = nullptr;  ///< [tokens][head_dim]
  std::uint32_t generation = 0;                 ///< that the reader expects
  std::uint16_t tokens = 0;                     ///< page_tokens, unless both levels are exact
  PageLevel key_level = PageLevel::omitted;
  PageLevel value_level = PageLevel::omitted;  ///< omitted exactly if key_level is
};
static_assert(sizeof(KvPage) == 72);

}  // namespace mpp::kernels

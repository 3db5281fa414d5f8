#pragma once
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <vector>

#include <mpp/kernels/kv_page.hpp>

#include "reference/quad.hpp"

// Pages of keys and values, read and written by the documentation of kv_page.hpp and by nothing of the library's code.
namespace mpp::reference {

using kernels::Half;
using kernels::KvType;
using kernels::page_tokens;
using kernels::PageLevel;

/// A stored key or value; exact in double.
inline double stored_value(KvType type, std::uint16_t bits) {
  if (type == KvType::float16) return half_value({bits});
  const std::uint32_t wide = std::uint32_t{bits} << 16;
  float value = 0.0F;
  std::memcpy(&value, &wide, sizeof value);
  return value;
}

/// The nearest stored number. Of bfloat16 too, where a double in between would round twice.
inline std::uint16_t stored(KvType type, double value) {
  if (type == KvType::float16) return kernels::nearest_half(value).bits;
  const auto narrow = static_cast<float>(value);
  std::uint32_t bits = 0;
  std::memcpy(&bits, &narrow, sizeof bits);
  return static_cast<std::uint16_t>((bits + 0x7FFF + (bits >> 16 & 1)) >> 16);
}

/// Bits of a level's codes: 4, 8 or 12.
constexpr int bits_of(PageLevel level) { return 4 * static_cast<int>(level); }

/// What quantize_page() writes for one page, on the host.
struct PageBytes {
  explicit PageBytes(std::size_t dims) : head_dim(dims), metadata(kernels::page_metadata_bytes(dims)) {
    for (auto& plane : key_planes) plane.resize(page_tokens * dims / 8);
    for (auto& plane : value_planes) plane.resize(page_tokens * dims / 8);
  }

  std::size_t head_dim;
  std::vector<std::byte> metadata;
  std::array<std::vector<std::uint32_t>, 3> key_planes;
  std::array<std::vector<std::uint32_t>, 2> value_planes;

  enum Factor : std::size_t { key_step, key_zero, value_step, value_zero };

  [[nodiscard]] kernels::PageSummary summary() const { return at<kernels::PageSummary>(0); }
  void summary(const kernels::PageSummary& summary) { put(0, summary); }
  [[nodiscard]] Half factor(Factor which, std::size_t channel) const { return at<Half>(factor_offset(which, channel)); }
  void factor(Factor which, std::size_t channel, Half value) { put(factor_offset(which, channel), value); }
  [[nodiscard]] Half value_norm(std::size_t token) const { return at<Half>(norm_offset(token)); }
  void value_norm(std::size_t token, Half value) { put(norm_offset(token), value); }

  /// The code of a number at a level of 4, 8 or 12 bits.
  [[nodiscard]] int key_code(std::size_t token, std::size_t channel, PageLevel level) const {
    return code(key_planes, key_word(token, channel), channel, level);
  }
  [[nodiscard]] int value_code(std::size_t token, std::size_t channel, PageLevel level) const {
    return code(value_planes, value_word(token, channel), token, level);
  }
  void key_code12(std::size_t token, std::size_t channel, int code12) {
    put_code(key_planes, key_word(token, channel), channel, code12);
  }
  void value_code12(std::size_t token, std::size_t channel, int code12) {
    put_code(value_planes, value_word(token, channel), token, code12);
  }

  /// What the code stands for: zero + (code + 1/2) step. Exact in double.
  [[nodiscard]] double key(std::size_t token, std::size_t channel, PageLevel level) const {
    return decode(key_code(token, channel, level), factor(key_step, channel), factor(key_zero, channel), level);
  }
  [[nodiscard]] double value(std::size_t token, std::size_t channel, PageLevel level) const {
    return decode(value_code(token, channel, level), factor(value_step, channel), factor(value_zero, channel), level);
  }

 private:
  template <class T>
  T at(std::size_t offset) const {
    T value;
    std::memcpy(&value, metadata.data() + offset, sizeof value);
    return value;
  }
  template <class T>
  void put(std::size_t offset, const T& value) {
    std::memcpy(metadata.data() + offset, &value, sizeof value);
  }
  std::size_t factor_offset(Factor which, std::size_t channel) const { return 64 + 2 * (which * head_dim + channel); }
  std::size_t norm_offset(std::size_t token) const { return 64 + 2 * (4 * head_dim + token); }

  std::size_t key_word(std::size_t token, std::size_t channel) const { return channel / 8 * 64 + token; }
  std::size_t value_word(std::size_t token, std::size_t channel) const { return token / 8 * head_dim + channel; }

  /// First bit of a row's nibble: even rows in the low half of the word, odd ones in the high half.
  static std::size_t shift(std::size_t row) { return (row % 2 == 0 ? 0 : 16) + 4 * (row % 8 / 2); }

  template <class Planes>
  static int code(const Planes& planes, std::size_t word, std::size_t row, PageLevel level) {
    int code = 0;
    for (std::size_t plane = 0; plane < static_cast<std::size_t>(bits_of(level)) / 4; ++plane)
      code = code << 4 | static_cast<int>(planes[plane][word] >> shift(row) & 15U);
    return code;
  }
  template <class Planes>
  static void put_code(Planes& planes, std::size_t word, std::size_t row, int code12) {
    for (std::size_t plane = 0; plane < planes.size(); ++plane) {
      const auto nibble = static_cast<std::uint32_t>(code12 >> (8 - 4 * static_cast<int>(plane)) & 15);
      planes[plane][word] = (planes[plane][word] & ~(15U << shift(row))) | nibble << shift(row);
    }
  }
  static double decode(int code, Half step, Half zero, PageLevel level) {
    return half_value(zero) + (code + 0.5) * std::ldexp(half_value(step), 8 - bits_of(level));
  }
};

/// A matrix [page_tokens][head_dim] of stored numbers.
struct StoredRows {
  KvType type = KvType::float16;
  std::size_t head_dim = 0;
  std::span<const std::uint16_t> bits;
  [[nodiscard]] std::size_t tokens() const { return bits.size() / head_dim; }
  [[nodiscard]] double operator()(std::size_t token, std::size_t channel) const {
    return stored_value(type, bits[token * head_dim + channel]);
  }
  [[nodiscard]] Quad square_norm(std::size_t token) const {
    Quad sum = 0;
    for (std::size_t j = 0; j < head_dim; ++j) sum += Quad{(*this)(token, j)} * (*this)(token, j);
    return sum;
  }
};

}  // namespace mpp::reference

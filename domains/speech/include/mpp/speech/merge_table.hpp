#pragma once
#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <memory_resource>

#include <mpp/core/memory/bytes.hpp>
#include <mpp/core/memory/uninitialized.hpp>

namespace mpp::speech {

/// Finds equal hypotheses of a frame: an open-addressing index from 64-bit keys to numbers, which are the caller's.
/// At most half full. Only the part that a frame needs is cleared and used, so it stays in the cache.
class MergeTable {
 public:
  static constexpr std::uint32_t none = 0xFFFF'FFFF;

  /// @param most  keys of a frame
  MergeTable(std::pmr::memory_resource* memory, std::size_t most) : slots_(memory) { slots_.resize(slots(most)); }
  static Bytes bytes(std::size_t most) { return bytes_of<std::uint32_t>(slots(most)); }

  /// Empty, with room for `keys` of them.
  void clear(std::size_t keys) {
    size_ = std::min(slots(keys), slots_.size());
    std::fill_n(slots_.begin(), size_, none);
  }
  void release() { slots_ = Buffer<std::uint32_t>(slots_.get_allocator()); }
  bool full(std::size_t keys) const { return 2 * keys > size_; }

  /// The slot of a key: it holds a number for which same(number), or none.
  template <class Same>
  std::uint32_t& find(std::uint64_t key, const Same& same) {
    std::size_t at = static_cast<std::size_t>(key * 0x9E37'79B9'7F4A'7C15U >> 32) & (size_ - 1);
    while (slots_[at] != none && !same(slots_[at])) at = (at + 1) & (size_ - 1);
    return slots_[at];
  }

 private:
  static std::size_t slots(std::size_t keys) { return std::bit_ceil(std::max<std::size_t>(64, 2 * keys)); }

  Buffer<std::uint32_t> slots_;
  std::size_t size_ = 64;
};

}  // namespace mpp::speech

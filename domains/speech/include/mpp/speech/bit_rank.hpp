#pragma once
#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include <mpp/core/memory/bytes.hpp>

namespace mpp::speech {

/// A set of numbers in [0, size) that numbers its members: the i-th smallest has rank i. 12 bytes for every 64 numbers,
/// so an array with one value per member costs far less than one with a value per number when members are rare.
class BitRank {
 public:
  BitRank() = default;

  /// @param members  each below size; repeated ones count once
  BitRank(std::size_t size, std::span<const std::uint32_t> members) : bits_(size / 64 + 1), below_(size / 64 + 1) {
    for (const std::uint32_t i : members) bits_[i / 64] |= std::uint64_t{1} << (i % 64);
    for (std::size_t b = 1; b < bits_.size(); ++b)
      below_[b] = below_[b - 1] + static_cast<std::uint32_t>(std::popcount(bits_[b - 1]));
  }

  /// @param i  below size
  bool contains(std::uint32_t i) const noexcept { return (bits_[i / 64] >> (i % 64) & 1) != 0; }

  /// How many members are below i. @param i  at most size
  std::uint32_t rank(std::uint32_t i) const noexcept {
    const std::uint64_t before = (std::uint64_t{1} << (i % 64)) - 1;
    return below_[i / 64] + static_cast<std::uint32_t>(std::popcount(bits_[i / 64] & before));
  }

  /// The member with that rank, which there is. O(log size).
  std::uint32_t select(std::uint32_t rank) const noexcept {
    const auto after = std::upper_bound(below_.begin(), below_.end(), rank);
    const auto block = static_cast<std::size_t>(after - below_.begin() - 1);
    std::uint64_t bits = bits_[block];
    for (std::uint32_t skip = rank - below_[block]; skip > 0; --skip) bits &= bits - 1;
    return static_cast<std::uint32_t>(block * 64 + static_cast<std::size_t>(std::countr_zero(bits)));
  }

  Bytes resident() const noexcept {
    return bytes_of<std::uint64_t>(bits_.capacity()) + bytes_of<std::uint32_t>(below_.capacity());
  }

 private:
  std::vector<std::uint64_t> bits_;   // [size / 64 + 1]
  std::vector<std::uint32_t> below_;  // members in the blocks before
};

}  // namespace mpp::speech

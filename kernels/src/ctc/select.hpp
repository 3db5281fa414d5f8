#pragma once
#include "src/ctc/board.hpp"

namespace mpp::kernels::ctc {

/// The k-th largest of n keys, or a smaller number with as many keys above it: radix selection from the highest digit
/// down, which ends as soon as all keys of a digit belong to the k. Keys are distinct but for 0, which counts for nothing.
/// 1 <= k <= number of keys.
template <class Group, class Shared>
MPP_ON_DEVICE std::uint64_t kth_largest(Group& group, Shared& board, const std::uint64_t* keys, std::uint32_t n,
                                        std::uint32_t k) {
  std::uint64_t prefix = 0, decided = 0;
  for (std::uint32_t shift = 64 - digit_bits;; shift = shift < digit_bits ? 0 : shift - digit_bits) {
    group.each(digits, [&](std::uint32_t d) { board.histogram[d] = 0; });
    group.each(n, [&](std::uint32_t j) {
      const std::uint64_t key = keys[j];
      if (key != 0 && (key & decided) == prefix) group.claim(board.histogram[key >> shift & (digits - 1)]);
    });
    group.each(digits, [&](std::uint32_t d) {
      const std::uint32_t within = board.histogram[d];
      if (within == 0) return;
      std::uint32_t above = 0;
      for (std::uint32_t higher = d + 1; higher < digits; ++higher) above += board.histogram[higher];
      if (above >= k || k > above + within) return;
      board.digit = d;
      board.above = above;
      board.within = within;
    });
    prefix |= std::uint64_t{board.digit} << shift;
    decided |= std::uint64_t{digits - 1} << shift;
    k -= board.above;
    if (k == board.within || shift == 0) return prefix == 0 ? 1 : prefix;  // 0 is no key
  }
}

}  // namespace mpp::kernels::ctc

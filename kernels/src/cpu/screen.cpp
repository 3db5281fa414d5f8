// The first plane of every row against a few queries at once.
//
// A byte holds the signs of 8 coordinates of one row: two 4-bit patterns, each an index into a 16-entry table of the
// query that fits one register. 64 rows lie side by side, so a shuffle looks up 16 to 64 rows at a time. Bytes are
// summed as 16-bit lanes that hold an even and an odd row: `all` collects both, `odd` the upper one, and the even sum
// is all - 256 odd, exact modulo 2^16, where every true sum fits (coarse_grid).
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "src/cpu/screen.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include <algorithm>

#include "src/cpu/ops.hpp"

HWY_BEFORE_NAMESPACE();
namespace mpp::kernels::cpu::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

// Sums of block `b` for the first `count` queries.
template <std::size_t count>
void screen_block(const std::uint8_t* HWY_RESTRICT block, std::size_t groups, const ScreenQuery* queries,
                  std::size_t b) {
  const hn::CappedTag<std::uint8_t, block_rows> bytes;
  const hn::Repartition<std::uint16_t, decltype(bytes)> words;
  const std::size_t lanes = hn::Lanes(bytes);
  const auto nibble = hn::Set(bytes, std::uint8_t{15});
  const auto bias = hn::Set(words, static_cast<std::uint16_t>(127 * 2 * groups));
  const std::uint8_t* table[count];
  for (std::size_t q = 0; q < count; ++q) table[q] = queries[q].table.data();
  for (std::size_t at = 0; at < block_rows; at += lanes) {
    hn::Vec<decltype(words)> all[count];
    hn::Vec<decltype(words)> odd[count];
    for (std::size_t q = 0; q < count; ++q) all[q] = odd[q] = hn::Zero(words);
    for (std::size_t g = 0; g < groups; ++g) {
      const auto signs = hn::LoadU(bytes, block + g * block_rows + at);
      const auto low = hn::And(signs, nibble);
      const auto high = hn::And(hn::BitCast(bytes, hn::ShiftRight<4>(hn::BitCast(words, signs))), nibble);
      for (std::size_t q = 0; q < count; ++q) {
        const auto first = hn::BitCast(words, hn::TableLookupBytes(hn::LoadDup128(bytes, table[q] + g * 32), low));
        const auto second =
            hn::BitCast(words, hn::TableLookupBytes(hn::LoadDup128(bytes, table[q] + g * 32 + 16), high));
        all[q] = hn::Add(all[q], hn::Add(first, second));
        odd[q] = hn::Add(odd[q], hn::Add(hn::ShiftRight<8>(first), hn::ShiftRight<8>(second)));
      }
    }
    for (std::size_t q = 0; q < count; ++q) {
      const auto even = hn::Sub(hn::Sub(all[q], hn::ShiftLeft<8>(odd[q])), bias);
      auto* out = reinterpret_cast<std::uint16_t*>(queries[q].dots.data() + b * block_rows + at);
      hn::StoreInterleaved2(even, hn::Sub(odd[q], bias), words, out);
    }
  }
}

void Screen(std::span<const std::uint8_t> blocks, std::size_t dims, std::span<const ScreenQuery> queries) {
  const std::size_t groups = dims / 8;
  const std::size_t block_bytes = block_rows * groups;
  const std::size_t block_count = blocks.size() / block_bytes;
  // A run of blocks stays in the first-level cache while all queries pass over it.
  const std::size_t run = std::max<std::size_t>(1, 16384 / block_bytes);
  for (std::size_t first = 0; first < block_count; first += run) {
    const std::size_t last = std::min(block_count, first + run);
    std::size_t q = 0;
    for (; q + 4 <= queries.size(); q += 4)
      for (std::size_t b = first; b < last; ++b)
        screen_block<4>(blocks.data() + b * block_bytes, groups, &queries[q], b);
    for (; q < queries.size(); ++q)
      for (std::size_t b = first; b < last; ++b)
        screen_block<1>(blocks.data() + b * block_bytes, groups, &queries[q], b);
  }
}

}  // namespace mpp::kernels::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
#include <array>
#include <vector>

namespace mpp::kernels::cpu {

HWY_EXPORT(Screen);

void screen(const Context&, std::span<const std::uint8_t> blocks, std::size_t dims,
            std::span<const ScreenQuery> queries) {
  HWY_DYNAMIC_DISPATCH(Screen)(blocks, dims, queries);
}

// 256 sums per 8 coordinates: one load per byte of a row.
void refine_dots(const Context&, std::span<const std::uint8_t> rows, std::size_t plane_slice_count,
                 std::span<const std::int16_t> code, std::span<std::int32_t> dots) {
  if (dots.empty()) return;
  const std::size_t groups = code.size() / 8;
  std::vector<std::array<std::int32_t, 256>> sums(groups);
  for (std::size_t g = 0; g < groups; ++g) {
    sums[g][0] = 0;
    for (std::size_t b = 0; b < 8; ++b) sums[g][0] -= code[8 * g + b];
    for (std::size_t b = 0; b < 8; ++b)
      for (std::size_t pattern = 0; pattern < (1U << b); ++pattern)
        sums[g][pattern | (1U << b)] = sums[g][pattern] + 2 * code[8 * g + b];
  }
  const std::uint8_t* slice = rows.data();
  for (std::int32_t& dot : dots)
    for (std::size_t s = 0; s < plane_slice_count; ++s, slice += groups) {
      std::int32_t even = 0;  // two chains of additions instead of one
      std::int32_t odd = 0;
      std::size_t g = 0;
      for (; g + 2 <= groups; g += 2) {
        even += sums[g][slice[g]];
        odd += sums[g + 1][slice[g + 1]];
      }
      if (g < groups) even += sums[g][slice[g]];
      dot = 2 * dot + even + odd;
    }
}

bool available() noexcept { return true; }

std::string device_description() {
  return hwy::TargetName(hwy::SupportedAndGeneratedTargets().front());  // the best comes first
}

}  // namespace mpp::kernels::cpu
#endif

// The planes of one slice in layout "blocks" against a few queries at once.
//
// A byte holds the signs of 8 coordinates of one row: two 4-bit patterns, each an index into a 16-entry table of the
// query that fits one register. 64 rows lie side by side, so a shuffle looks up 16 to 64 rows at a time. Bytes are
// summed as 16-bit lanes that hold an even and an odd row: `all` collects both, `odd` the upper one, and the even sum
// is all - 256 odd, exact modulo 2^16, where every true sum fits (coarse_grid).
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "src/cpu/screen.cpp"
#include <hwy/cache_control.h>
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include <algorithm>

#include "src/cpu/ops.hpp"

HWY_BEFORE_NAMESPACE();
namespace mpp::kernels::cpu::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

// A query at one block: its table, and where the 64 sums go.
struct BlockQuery {
  const std::uint8_t* table;
  std::int16_t* dots;
};

// Sums of one block for `count` queries; `extend`: as one more slice of the sums that are there.
template <std::size_t count, bool extend>
void screen_block(const std::uint8_t* HWY_RESTRICT block, std::size_t groups, const BlockQuery* queries) {
  constexpr std::size_t ahead = 8192;  // bytes: hardware alone stops at the end of each page
  const hn::CappedTag<std::uint8_t, block_rows> bytes;
  const hn::Repartition<std::uint16_t, decltype(bytes)> words;
  const std::size_t lanes = hn::Lanes(bytes);
  const auto nibble = hn::Set(bytes, std::uint8_t{15});
  const auto bias = hn::Set(words, static_cast<std::uint16_t>(127 * 2 * groups));
  const std::uint8_t* table[count];
  for (std::size_t q = 0; q < count; ++q) table[q] = queries[q].table;
  for (std::size_t at = 0; at < block_rows; at += lanes) {
    hn::Vec<decltype(words)> all[count];
    hn::Vec<decltype(words)> odd[count];
    for (std::size_t q = 0; q < count; ++q) all[q] = odd[q] = hn::Zero(words);
    for (std::size_t g = 0; g < groups; ++g) {
      const auto signs = hn::LoadU(bytes, block + g * block_rows + at);
      hwy::Prefetch(block + g * block_rows + at + ahead);
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
      auto even = hn::Sub(hn::Sub(all[q], hn::ShiftLeft<8>(odd[q])), bias);
      auto uneven = hn::Sub(odd[q], bias);
      auto* out = reinterpret_cast<std::uint16_t*>(queries[q].dots + at);
      if constexpr (extend) {
        hn::Vec<decltype(words)> even_before, uneven_before;
        hn::LoadInterleaved2(words, out, even_before, uneven_before);
        even = hn::Add(even, hn::ShiftLeft<1>(even_before));
        uneven = hn::Add(uneven, hn::ShiftLeft<1>(uneven_before));
      }
      hn::StoreInterleaved2(even, uneven, words, out);
    }
  }
}

constexpr std::size_t together = 4;  // queries whose sums fit the registers

template <bool extend>
void screen_queries(const std::uint8_t* block, std::size_t groups, const BlockQuery* queries, std::size_t count) {
  if (count == 4) screen_block<4, extend>(block, groups, queries);
  if (count == 3) screen_block<3, extend>(block, groups, queries);
  if (count == 2) screen_block<2, extend>(block, groups, queries);
  if (count == 1) screen_block<1, extend>(block, groups, queries);
}

void Screen(std::span<const std::uint8_t> blocks, std::size_t dims, std::span<const ScreenQuery> queries) {
  const std::size_t groups = dims / 8;
  const std::size_t block_bytes = block_rows * groups;
  const std::size_t block_count = blocks.size() / block_bytes;
  // A run of blocks stays in the first-level cache while all queries pass over it.
  const std::size_t run = std::max<std::size_t>(1, 16384 / block_bytes);
  for (std::size_t first = 0; first < block_count; first += run) {
    const std::size_t last = std::min(block_count, first + run);
    for (std::size_t q = 0; q < queries.size(); q += together) {
      const std::size_t count = std::min(together, queries.size() - q);
      for (std::size_t b = first; b < last; ++b) {
        BlockQuery at[together];
        for (std::size_t i = 0; i < count; ++i)
          at[i] = {queries[q + i].table.data(), queries[q + i].dots.data() + b * block_rows};
        screen_queries<false>(blocks.data() + b * block_bytes, groups, at, count);
      }
    }
  }
}

void RefineBlocks(std::span<const std::uint8_t> blocks, std::size_t dims, std::span<const RefineQuery> queries) {
  const std::size_t groups = dims / 8;
  const std::size_t block_bytes = block_rows * groups;
  for (std::size_t b = 0; b < blocks.size() / block_bytes; ++b) {
    const std::uint8_t* block = blocks.data() + b * block_bytes;
    BlockQuery open[together];
    std::size_t count = 0;
    for (const RefineQuery& query : queries) {
      if (query.open[b] == 0) continue;
      open[count++] = {query.table.data(), query.dots.data() + b * block_rows};
      if (count < together) continue;
      screen_queries<true>(block, groups, open, count);
      count = 0;
    }
    screen_queries<true>(block, groups, open, count);
  }
}

}  // namespace mpp::kernels::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
#include <array>
#include <vector>

namespace mpp::kernels::cpu {

HWY_EXPORT(Screen);
HWY_EXPORT(RefineBlocks);

void screen(const Context&, std::span<const std::uint8_t> blocks, std::size_t dims,
            std::span<const ScreenQuery> queries) {
  HWY_DYNAMIC_DISPATCH(Screen)(blocks, dims, queries);
}

void refine_blocks(const Context&, std::span<const std::uint8_t> blocks, std::size_t dims,
                   std::span<const RefineQuery> queries) {
  HWY_DYNAMIC_DISPATCH(RefineBlocks)(blocks, dims, queries);
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

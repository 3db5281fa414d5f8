// Dot products of integers with planes of 4-bit codes: out[g][column] = sum over rows of a[g][row] * code[row][column].
//
// Keys multiply a query with codes [channel][token], values multiply weights with codes [token][channel]: one operation.
// Lanes are columns, so nothing is ever summed across a register. A 32-bit word holds 8 rows of a column such that shifts
// and masks give 4 registers of 16-bit pairs, each multiplied with a broadcast pair of `a` and added in one instruction
// (two before AVX-512 VNNI). What a word costs to take apart is shared by all heads of the group.
#if defined(MPP_KERNELS_PLANE_DOT_INL) == defined(HWY_TARGET_TOGGLE)
#ifdef MPP_KERNELS_PLANE_DOT_INL
#undef MPP_KERNELS_PLANE_DOT_INL
#else
#define MPP_KERNELS_PLANE_DOT_INL
#endif

#include <hwy/cache_control.h>
#include <hwy/highway.h>

#include <cstdint>
#include <cstring>

HWY_BEFORE_NAMESPACE();
namespace mpp::kernels::cpu::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

using Int32 = hn::CappedTag<std::int32_t, 16>;
using Int16 = hn::Repartition<std::int16_t, Int32>;
using Word = hn::Rebind<std::uint32_t, Int32>;

// One or two planes of a page, and where those of the next page are: they are fetched meanwhile.
struct Planes {
  const std::uint32_t* high;
  const std::uint32_t* low;  // null: the high plane alone
  const std::uint32_t* next_high;
  const std::uint32_t* next_low;
};

// acc + the sum of both products of a pair, lane by lane.
HWY_INLINE hn::Vec<Int32> add_pair_products(hn::Vec<Int32> acc, hn::Vec<Word> codes, hn::Vec<Int32> pair) {
  const Int32 i32;
#if HWY_ARCH_X86
  const Int16 i16;
  auto unused = hn::Zero(i32);
  return hn::ReorderWidenMulAccumulate(i32, hn::BitCast(i16, codes), hn::BitCast(i16, pair), acc, unused);
#else
  const auto both = hn::BitCast(i32, codes);
  const auto even = hn::Mul(hn::ShiftRight<16>(hn::ShiftLeft<16>(both)), hn::ShiftRight<16>(hn::ShiftLeft<16>(pair)));
  return hn::Add(acc, hn::Add(even, hn::Mul(hn::ShiftRight<16>(both), hn::ShiftRight<16>(pair))));
#endif
}

// The 8 rows of a word as pairs (2r, 2r + 1), r = 0 ... 3, of 4 or 8 bits.
template <bool two_planes>
HWY_INLINE void unpack(const Planes& planes, std::size_t at, hn::Vec<Word> (&pairs)[4]) {
  const Word words;
  const hn::Repartition<std::uint16_t, Word> halves;
  const auto high = hn::LoadU(words, planes.high + at);
  if constexpr (two_planes) {
    const auto low = hn::LoadU(words, planes.low + at);
    const auto upper = hn::Set(words, 0xF0F0F0F0U);
    const auto lower = hn::Set(words, 0x0F0F0F0FU);
    const auto bytes = hn::Set(words, 0x00FF00FFU);
    const auto odd = hn::Or(hn::And(high, upper), hn::And(hn::ShiftRight<4>(low), lower));
    const auto even = hn::Or(hn::And(hn::ShiftLeft<4>(high), upper), hn::And(low, lower));
    pairs[0] = hn::And(even, bytes);
    pairs[1] = hn::And(odd, bytes);
    pairs[2] = hn::BitCast(words, hn::ShiftRight<8>(hn::BitCast(halves, even)));
    pairs[3] = hn::BitCast(words, hn::ShiftRight<8>(hn::BitCast(halves, odd)));
  } else {
    const auto nibble = hn::Set(words, 0x000F000FU);
    pairs[0] = hn::And(high, nibble);
    pairs[1] = hn::And(hn::ShiftRight<4>(high), nibble);
    pairs[2] = hn::And(hn::ShiftRight<8>(high), nibble);
    pairs[3] = hn::BitCast(words, hn::ShiftRight<12>(hn::BitCast(halves, high)));
  }
}

// a: [count][8 * row_groups]    out: [count][columns]    columns: a multiple of 32
template <std::size_t count, bool two_planes>
void plane_dot(const Planes& planes, std::size_t row_groups, std::size_t columns, const std::int16_t* HWY_RESTRICT a,
               std::int32_t* HWY_RESTRICT out) {
  constexpr std::size_t vectors = count <= 4 ? 2 : 1;  // 8 sums fill the registers that words and pairs leave
  const Int32 i32;
  const std::size_t lanes = hn::Lanes(i32);
  for (std::size_t column = 0; column < columns; column += lanes * vectors) {
    hn::Vec<Int32> sum[count][vectors];
    for (std::size_t g = 0; g < count; ++g)
      for (std::size_t v = 0; v < vectors; ++v) sum[g][v] = hn::Zero(i32);
    for (std::size_t k = 0; k < row_groups; ++k) {
      const std::size_t at = k * columns + column;
      hwy::Prefetch(planes.next_high + at);
      if constexpr (two_planes) hwy::Prefetch(planes.next_low + at);
      hn::Vec<Word> pairs[vectors][4];
      for (std::size_t v = 0; v < vectors; ++v) unpack<two_planes>(planes, at + v * lanes, pairs[v]);
      for (std::size_t r = 0; r < 4; ++r)
        for (std::size_t g = 0; g < count; ++g) {
          std::int32_t pair;
          std::memcpy(&pair, a + (g * row_groups + k) * 8 + 2 * r, sizeof(pair));
          for (std::size_t v = 0; v < vectors; ++v)
            sum[g][v] = add_pair_products(sum[g][v], pairs[v][r], hn::Set(i32, pair));
        }
    }
    for (std::size_t g = 0; g < count; ++g)
      for (std::size_t v = 0; v < vectors; ++v) hn::StoreU(sum[g][v], i32, out + g * columns + column + v * lanes);
  }
}

}  // namespace mpp::kernels::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();
#endif

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
  auto sum = hn::ReorderWidenMulAccumulate(i32, hn::BitCast(i16, codes), hn::BitCast(i16, pair), acc, unused);
#if HWY_COMPILER_GCC
  // GCC 12 would first make all products of a word and then add them up, which takes twice as many registers as there are.
  __asm__("" : "+v"(sum.raw));
#endif
  return sum;
#else
  const auto both = hn::BitCast(i32, codes);
  const auto even = hn::Mul(hn::ShiftRight<16>(hn::ShiftLeft<16>(both)), hn::ShiftRight<16>(hn::ShiftLeft<16>(pair)));
  return hn::Add(acc, hn::Add(even, hn::Mul(hn::ShiftRight<16>(both), hn::ShiftRight<16>(pair))));
#endif
}

// The 8 rows of a word, still packed: even rows of both halves in one register, odd rows in the other, or all in one.
template <bool two_planes>
struct Rows {
  hn::Vec<Word> even, odd;
};
template <bool two_planes>
HWY_INLINE Rows<two_planes> load_rows(const Planes& planes, std::size_t at) {
  const Word words;
  const auto high = hn::LoadU(words, planes.high + at);
  if constexpr (!two_planes) return {high, high};
  const auto low = hn::LoadU(words, planes.low + at);
  const auto upper = hn::Set(words, 0xF0F0F0F0U);
  const auto lower = hn::Set(words, 0x0F0F0F0FU);
  return {hn::Or(hn::And(hn::ShiftLeft<4>(high), upper), hn::And(low, lower)),
          hn::Or(hn::And(high, upper), hn::And(hn::ShiftRight<4>(low), lower))};
}

// Rows 2r and 2r + 1 as a pair of 16-bit integers.
template <std::size_t r, bool two_planes>
HWY_INLINE hn::Vec<Word> pair_of(const Rows<two_planes>& rows) {
  const Word words;
  const hn::Repartition<std::uint16_t, Word> halves;
  if constexpr (two_planes) {
    const auto bytes = r % 2 == 0 ? rows.even : rows.odd;
    if constexpr (r < 2) return hn::And(bytes, hn::Set(words, 0x00FF00FFU));
    return hn::BitCast(words, hn::ShiftRight<8>(hn::BitCast(halves, bytes)));
  } else {
    if constexpr (r == 3) return hn::BitCast(words, hn::ShiftRight<12>(hn::BitCast(halves, rows.even)));
    return hn::And(hn::ShiftRight<4 * r>(rows.even), hn::Set(words, 0x000F000FU));
  }
}

// sum[g][v] += a[g][2r, 2r + 1] . rows 2r, 2r + 1 of vector v
template <std::size_t r, std::size_t count, std::size_t vectors, bool two_planes>
HWY_INLINE void multiply_pair(const Rows<two_planes> (&rows)[vectors], const std::int16_t* HWY_RESTRICT a,
                              std::size_t stride, hn::Vec<Int32> (&sum)[count][vectors]) {
  hn::Vec<Word> pair[vectors];
  for (std::size_t v = 0; v < vectors; ++v) pair[v] = pair_of<r>(rows[v]);
  for (std::size_t g = 0; g < count; ++g) {
    std::int32_t both;
    std::memcpy(&both, a + g * stride + 2 * r, sizeof(both));
    for (std::size_t v = 0; v < vectors; ++v) sum[g][v] = add_pair_products(sum[g][v], pair[v], hn::Set(Int32(), both));
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
      Rows<two_planes> rows[vectors];
      for (std::size_t v = 0; v < vectors; ++v) rows[v] = load_rows<two_planes>(planes, at + v * lanes);
      const std::int16_t* pairs = a + k * 8;
      multiply_pair<0>(rows, pairs, row_groups * 8, sum);
      multiply_pair<1>(rows, pairs, row_groups * 8, sum);
      multiply_pair<2>(rows, pairs, row_groups * 8, sum);
      multiply_pair<3>(rows, pairs, row_groups * 8, sum);
    }
    for (std::size_t g = 0; g < count; ++g)
      for (std::size_t v = 0; v < vectors; ++v) hn::StoreU(sum[g][v], i32, out + g * columns + column + v * lanes);
  }
}

}  // namespace mpp::kernels::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();
#endif

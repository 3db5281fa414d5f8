// Sign rows against integer queries on the tensor cores, exact in 32 bits.
//
// A warp owns one block of 64 rows, 8 rows to a lane group of 4, and takes 8 queries at a time. Each of the 4 lanes
// reads 8 bytes, byte g of 8 rows, for 4 different g: together 128 coordinates, 1 KiB without a gap. A transposition of
// bytes turns what a lane holds into 4 bytes of each of its rows; the mask 0x01010101 takes one bit of each byte as four
// numbers 0 or 1, an operand of mma.m16n8k32, which multiplies 16 rows by 8 queries over 32 coordinates. The order of
// coordinates within a product is free as long as both operands follow the same: the queries are laid out to match.
//   sum_j s_j c_j = 2 sum_{s_j = +1} c_j - sum_j c_j.
// Bits are taken apart once for 8 or 16 queries; with more, the further passes find the codes in cache. Lane t of a
// group ends up with 8 neighbouring rows of queries 2t and 2t + 1: one 16-byte store each. With fewer queries than 8
// the columns of the others idle, which costs no more than their stores would.
//
// Long queries are cut into chunks that fit shared memory. The views of up to 64 queries travel as a kernel argument, so
// that nothing has to be copied to the device first.
//
// refine_blocks() is the same pass with one more step at its end: the new sums extend those that are there, for the
// queries with an open row in the block. A warp whose block is closed for all queries of a pass reads none of it.
#include <algorithm>

#include "check.cuh"
#include "ops.hpp"
#include "signs.cuh"

namespace mpp::kernels::cuda {
namespace {

constexpr unsigned warp = 32;
constexpr unsigned warps = 4;
constexpr unsigned block_width = warps * warp;
constexpr unsigned tiles_per_warp = 4;  // blocks of 64 rows
constexpr unsigned tiles_per_block = warps * tiles_per_warp;
constexpr unsigned columns = 8;      // queries of one mma
constexpr unsigned step_bytes = 16;  // of a row: 128 coordinates, 4 bytes for each lane of a group
constexpr unsigned max_steps = 8;    // in shared memory at a time: 16 KiB for 16 queries
constexpr unsigned own_rows = 8;     // of a lane
static_assert(block_rows == own_rows * warp / 4);

// The four coordinates behind one table: pattern 1 << b differs from pattern 0 by 2 code[b].
__device__ std::uint32_t code_word(uint4 table) {
  const auto byte = [](unsigned word, unsigned k) { return static_cast<int>(word >> (8 * k) & 255U); };
  const int none = byte(table.x, 0);
  const int code[4] = {(byte(table.x, 1) - none) / 2, (byte(table.x, 2) - none) / 2, (byte(table.y, 0) - none) / 2,
                       (byte(table.z, 0) - none) / 2};
  return static_cast<std::uint32_t>((code[0] & 255) | (code[1] & 255) << 8 | (code[2] & 255) << 16 |
                                    (code[3] & 255) << 24);
}

// Byte i of out[r] is byte r of in[i].
__device__ void transpose_bytes(const std::uint32_t (&in)[4], std::uint32_t* out) {
  const std::uint32_t low01 = __byte_perm(in[0], in[1], 0x5140), low23 = __byte_perm(in[2], in[3], 0x5140);
  const std::uint32_t high01 = __byte_perm(in[0], in[1], 0x7362), high23 = __byte_perm(in[2], in[3], 0x7362);
  out[0] = __byte_perm(low01, low23, 0x5410);
  out[1] = __byte_perm(low01, low23, 0x7632);
  out[2] = __byte_perm(high01, high23, 0x5410);
  out[3] = __byte_perm(high01, high23, 0x7632);
}

// sums += rows . queries for 16 rows and 8 queries over 32 coordinates. Of lane 4 g + t: rows g (a0, a2; sums 0, 1) and
// g + 8 (a1, a3; sums 2, 3), coordinates 4 t... (a0, a1, b0) and 16 + 4 t... (a2, a3, b1), query g in b, queries 2 t
// and 2 t + 1 in sums.
__device__ void multiply_add(int (&sums)[4], std::uint32_t a0, std::uint32_t a1, std::uint32_t a2, std::uint32_t a3,
                             std::uint32_t b0, std::uint32_t b1) {
  asm("mma.sync.aligned.m16n8k32.row.col.s32.u8.s8.s32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
      : "+r"(sums[0]), "+r"(sums[1]), "+r"(sums[2]), "+r"(sums[3])
      : "r"(a0), "r"(a1), "r"(a2), "r"(a3), "r"(b0), "r"(b1));
}

struct Query {
  const uint4* table;
  std::int16_t* dots;
  const std::uint64_t* open;  // null: every block is
};
constexpr std::size_t max_batch = 64;
struct Batch {
  Query query[max_batch];
  unsigned count;
};

// Bit q: query first + q wants the sums of the tile. The same in all lanes.
template <unsigned queries, bool extend>
__device__ unsigned open_queries(const Batch& batch, unsigned first, std::size_t tile, std::size_t tile_count) {
  const unsigned q = threadIdx.x % warp;
  bool open = tile < tile_count && q < queries && first + q < batch.count;
  if constexpr (extend) open = open && batch.query[first + q].open[tile] != 0;
  return __ballot_sync(~0U, open);
}

// The queries of a pass as the second operand. words[step][half][lane]: of query lane / 4, for bytes
// 16 step + 4 i + lane % 4 of a row, i < 4: bits 4 half to 4 half + 3 of these, a word of four coordinates each.
template <unsigned groups>
struct Words {
  uint4 of[max_steps][groups][2][warp];
  int total[groups * columns];
};

template <unsigned groups>
__device__ void load_words(const Batch& batch, unsigned first_query, unsigned first_step, unsigned steps,
                           unsigned bytes, Words<groups>& words) {
  constexpr unsigned per_step = groups * 2 * warp;
  for (unsigned k = threadIdx.x; k < steps * per_step; k += block_width) {
    const unsigned step = k / per_step, group = k / (2 * warp) % groups, half = k / warp % 2, lane = k % warp;
    const unsigned q = group * columns + lane / 4;
    std::uint32_t codes[4] = {};
    for (unsigned i = 0; i < 4; ++i) {
      const unsigned g = (first_step + step) * step_bytes + 4 * i + lane % 4;
      if (g < bytes && first_query + q < batch.count)
        codes[i] = code_word(batch.query[first_query + q].table[2 * g + half]);
    }
    int total = 0;
    for (const std::uint32_t code : codes) total = __dp4a(0x01010101, static_cast<int>(code), total);
    atomicAdd(&words.total[q], total);
    std::uint32_t by_bit[4];
    transpose_bytes(codes, by_bit);
    words.of[step][group][half][lane] = {by_bit[0], by_bit[1], by_bit[2], by_bit[3]};
  }
}

// The lane's 4 bytes of each of its 8 rows in one step; zeros beyond the end of a row.
__device__ void load_rows(const std::uint8_t* block, unsigned step, unsigned bytes, std::uint32_t (&rows)[own_rows]) {
  const unsigned lane = threadIdx.x % warp;
  uint2 loaded[4];
#pragma unroll
  for (unsigned i = 0; i < 4; ++i) {
    const unsigned g = step * step_bytes + 4 * i + lane % 4;
    loaded[i] = {0, 0};
    if (g < bytes) loaded[i] = *reinterpret_cast<const uint2*>(block + g * block_rows + lane / 4 * own_rows);
  }
  transpose_bytes({loaded[0].x, loaded[1].x, loaded[2].x, loaded[3].x}, rows);
  transpose_bytes({loaded[0].y, loaded[1].y, loaded[2].y, loaded[3].y}, rows + 4);
}

template <unsigned groups>
using Sums = int[groups][own_rows / 2][4];

template <unsigned groups>
__device__ void add_step(const std::uint32_t (&rows)[own_rows], const uint4 (&words)[groups][2][warp],
                         Sums<groups>& sums) {
  constexpr std::uint32_t lowest_bits = 0x01010101U;
#pragma unroll
  for (unsigned half = 0; half < 2; ++half) {
    uint4 word[groups];
#pragma unroll
    for (unsigned group = 0; group < groups; ++group) word[group] = words[group][half][threadIdx.x % warp];
#pragma unroll
    for (unsigned pair = 0; pair < own_rows / 2; ++pair) {
      std::uint32_t bits[2][4];
#pragma unroll
      for (unsigned b = 0; b < 4; ++b) {
        bits[0][b] = rows[2 * pair] >> (4 * half + b) & lowest_bits;
        bits[1][b] = rows[2 * pair + 1] >> (4 * half + b) & lowest_bits;
      }
#pragma unroll
      for (unsigned group = 0; group < groups; ++group) {
        multiply_add(sums[group][pair], bits[0][0], bits[1][0], bits[0][1], bits[1][1], word[group].x, word[group].y);
        multiply_add(sums[group][pair], bits[0][2], bits[1][2], bits[0][3], bits[1][3], word[group].z, word[group].w);
      }
    }
  }
}

// Writes the sums of the lane's 8 rows and one query; `extend`: as one more slice of those that are there.
// `column`: 0 or 1, which of the lane's two queries.
template <bool extend>
__device__ void write_sums(const int (&sums)[own_rows / 2][4], unsigned column, int total, std::int16_t* dots) {
  auto* const out = reinterpret_cast<uint4*>(dots);
  std::uint32_t before[4] = {};
  if constexpr (extend) {
    const uint4 there = *out;
    before[0] = there.x, before[1] = there.y, before[2] = there.z, before[3] = there.w;
  }
  std::uint32_t packed[4];
#pragma unroll
  for (unsigned pair = 0; pair < own_rows / 2; ++pair) {
    const auto sum = [&](unsigned row, std::uint32_t old) {  // modulo 2^16
      const auto added = static_cast<std::uint32_t>(2 * sums[pair][2 * row + column] - total);
      return added + 2 * old;
    };
    packed[pair] = __byte_perm(sum(0, before[pair]), sum(1, before[pair] >> 16), 0x5410);
  }
  __stwb(out, make_uint4(packed[0], packed[1], packed[2], packed[3]));  // one store, which an assignment was not
}

template <unsigned groups, bool extend>
__global__ void __launch_bounds__(block_width) screen_kernel(const std::uint8_t* blocks, std::size_t tile_count,
                                                             unsigned bytes, const __grid_constant__ Batch batch) {
  constexpr unsigned queries = groups * columns;
  static_assert(tiles_per_warp * queries <= 64);  // bits of open_of_tiles
  __shared__ Words<groups> words;
  const unsigned steps = (bytes + step_bytes - 1) / step_bytes;
  const std::size_t first_tile = std::size_t{blockIdx.x} * tiles_per_block + threadIdx.x / warp;
  const unsigned lane = threadIdx.x % warp;

  for (unsigned first_query = 0; first_query < batch.count; first_query += queries) {
    std::uint64_t open_of_tiles = 0;  // asked for at once, not tile by tile
#pragma unroll
    for (unsigned t = 0; t < tiles_per_warp; ++t)
      open_of_tiles |=
          std::uint64_t{open_queries<queries, extend>(batch, first_query, first_tile + t * warps, tile_count)}
          << (t * queries);
    if (__syncthreads_or(open_of_tiles != 0) == 0) continue;
#pragma unroll 1
    for (unsigned t = 0; t < tiles_per_warp; ++t) {
      const std::size_t tile = first_tile + t * warps;
      const std::uint8_t* block = blocks + tile * (block_rows * std::size_t{bytes});
      const auto open = static_cast<unsigned>(open_of_tiles >> (t * queries)) & ((1U << queries) - 1);
      Sums<groups> sums = {};
      for (unsigned first = 0; first < steps; first += max_steps) {
        const unsigned count = min(max_steps, steps - first);
        if (t == 0 || steps > max_steps) {
          __syncthreads();  // what was there has been used
          if (first == 0 && threadIdx.x < queries) words.total[threadIdx.x] = 0;
          __syncthreads();
          load_words<groups>(batch, first_query, first, count, bytes, words);
          __syncthreads();
        }
        if (open == 0) continue;
        for (unsigned step = 0; step < count; ++step) {
          std::uint32_t rows[own_rows];
          load_rows(block, first + step, bytes, rows);
          add_step<groups>(rows, words.of[step], sums);
        }
      }
#pragma unroll
      for (unsigned group = 0; group < groups; ++group)
#pragma unroll
        for (unsigned column = 0; column < 2; ++column) {
          const unsigned q = group * columns + lane % 4 * 2 + column;
          if ((open >> q & 1U) == 0) continue;
          write_sums<extend>(sums[group], column, words.total[q],
                             batch.query[first_query + q].dots + tile * block_rows + lane / 4 * own_rows);
        }
    }
  }
}

template <bool extend, class Views>
void run(const Context& context, const char* operation, std::span<const std::uint8_t> blocks, std::size_t dims,
         std::span<const Views> queries) {
  const std::size_t tiles = blocks.size() / (block_rows * dims / 8);
  if (tiles == 0 || queries.empty()) return;
  expects_aligned(blocks.data(), sizeof(uint2), operation, "blocks");
  for (const Views& query : queries) {
    expects_aligned(query.table.data(), sizeof(uint4), operation, "table");
    expects_aligned(query.dots.data(), sizeof(uint4), operation, "dots");
  }
  for (std::size_t first = 0; first < queries.size(); first += max_batch) {
    Batch batch{};
    for (const Views& query : queries.subspan(first, std::min(max_batch, queries.size() - first))) {
      Query& view = batch.query[batch.count++];
      view = {reinterpret_cast<const uint4*>(query.table.data()), query.dots.data(), nullptr};
      if constexpr (extend) view.open = query.open.data();
    }
    const auto launch = [&](auto kernel) {
      kernel<<<grid_of(tiles, tiles_per_block, operation), block_width, 0, stream_of(context)>>>(
          blocks.data(), tiles, static_cast<unsigned>(dims / 8), batch);
      check_launch(operation);
    };
    if (batch.count <= columns)
      launch(screen_kernel<1, extend>);
    else
      launch(screen_kernel<2, extend>);
  }
  finish(context, operation);
}

}  // namespace

void screen(const Context& context, std::span<const std::uint8_t> blocks, std::size_t dims,
            std::span<const ScreenQuery> queries) {
  run<false>(context, "screen", blocks, dims, queries);
}

void refine_blocks(const Context& context, std::span<const std::uint8_t> blocks, std::size_t dims,
                   std::span<const RefineQuery> queries) {
  run<true>(context, "refine_blocks", blocks, dims, queries);
}

}  // namespace mpp::kernels::cuda

// Sign rows against integer queries by dp4a, exact in 32 bits.
//
// A thread owns 4 neighbouring rows of a block: one 4-byte load brings byte g of all four, 16 threads read the 64
// contiguous bytes of a block, and the unrolled loop keeps several such loads in flight. Each byte is two patterns of
// 4 signs; a pattern is spread into four bytes 0 or 1 once and then serves every query of the pass with one dp4a:
//   sum_j s_j c_j = 2 sum_{s_j = +1} c_j - sum_j c_j.
// So the cost per query falls to one instruction for 4 coordinates, where a look-up in shared memory would cost a
// conflict-prone load and an addition each. The query words are the same for all threads (a broadcast), stored so that
// the words of one group for all queries of a pass are one or two 16-byte loads.
//
// A thread block owns `rows_per_block` rows. It passes over them once for 8 queries; with more queries the further
// passes find the codes in cache. Long queries are cut into chunks that fit shared memory. The views of up to 64
// queries travel as a kernel argument, so that nothing has to be copied to the device first.
//
// refine_blocks() is the same pass with one more step at its end: the new sums extend those that are there, for the
// queries with an open row in the block. A thread block whose rows are closed for all queries of a pass reads nothing.
#include <algorithm>

#include "check.cuh"
#include "ops.hpp"
#include "signs.cuh"

namespace mpp::kernels::cuda {
namespace {

constexpr unsigned block_width = 128;
constexpr unsigned rows_per_thread = 4;
constexpr unsigned rows_per_block = block_width * rows_per_thread;
constexpr unsigned chunk_groups = 512;  // of 4 coordinates: 16 KiB of shared memory for 8 queries
static_assert(chunk_groups % 2 == 0 && block_rows % rows_per_thread == 0);

// The four coordinates behind one table: pattern 1 << b differs from pattern 0 by 2 code[b].
__device__ int code_word(uint4 table) {
  const auto byte = [](unsigned word, unsigned k) { return static_cast<int>(word >> (8 * k) & 255U); };
  const int none = byte(table.x, 0);
  const int code[4] = {(byte(table.x, 1) - none) / 2, (byte(table.x, 2) - none) / 2, (byte(table.y, 0) - none) / 2,
                       (byte(table.z, 0) - none) / 2};
  return (code[0] & 255) | (code[1] & 255) << 8 | (code[2] & 255) << 16 | (code[3] & 255) << 24;
}

template <unsigned queries>
struct alignas(std::min(queries * sizeof(int), sizeof(int4))) Words {
  int of[queries];
};

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

// Writes the sums of 4 neighbouring rows; `extend`: as one more slice of those that are there.
template <bool extend>
__device__ void write_sums(short4 sums, std::int16_t* dots) {
  auto* const out = reinterpret_cast<short4*>(dots);
  if constexpr (extend) {
    const short4 before = *out;
    sums.x = static_cast<short>(sums.x + 2 * before.x);
    sums.y = static_cast<short>(sums.y + 2 * before.y);
    sums.z = static_cast<short>(sums.z + 2 * before.z);
    sums.w = static_cast<short>(sums.w + 2 * before.w);
  }
  *out = sums;
}

template <unsigned queries, bool extend>
__global__ void __launch_bounds__(block_width)
    screen_kernel(const std::uint8_t* blocks, std::size_t row_count, unsigned bytes, Batch batch) {
  __shared__ Words<queries> words[chunk_groups];
  __shared__ int total[queries];
  const unsigned groups = 2 * bytes;
  const std::size_t row = std::size_t{blockIdx.x} * rows_per_block + threadIdx.x * rows_per_thread;
  const bool active = row < row_count;
  const std::uint8_t* column = blocks + row / block_rows * (block_rows * std::size_t{bytes}) + row % block_rows;

  for (unsigned first_query = 0; first_query < batch.count; first_query += queries) {
    bool open[queries];
    bool any_open = false;
#pragma unroll
    for (unsigned q = 0; q < queries; ++q) {
      open[q] = active && first_query + q < batch.count;
      if constexpr (extend) open[q] = open[q] && batch.query[first_query + q].open[row / block_rows] != 0;
      any_open = any_open || open[q];
    }
    if (extend && __syncthreads_or(any_open) == 0) continue;
    int positive[rows_per_thread][queries] = {};
    if (threadIdx.x < queries) total[threadIdx.x] = 0;
    for (unsigned first = 0; first < groups; first += chunk_groups) {
      const unsigned count = min(chunk_groups, groups - first);
      __syncthreads();  // the words of the chunk before have been used, the totals are zero
      // block_width is a multiple of `queries`: a thread loads words of one query only.
      const unsigned own = threadIdx.x % queries;
      int own_total = 0;
      for (unsigned k = threadIdx.x / queries; k < count; k += block_width / queries) {
        const bool exists = first_query + own < batch.count;
        const int word = exists ? code_word(batch.query[first_query + own].table[first + k]) : 0;
        words[k].of[own] = word;
        own_total = __dp4a(0x01010101, word, own_total);
      }
      atomicAdd(&total[own], own_total);
      __syncthreads();
      if (!any_open) continue;
#pragma unroll 4
      for (unsigned g = 0; g < count / 2; ++g) {
        const auto four = *reinterpret_cast<const std::uint32_t*>(column + (first / 2 + g) * std::size_t{block_rows});
        const Words<queries> low = words[2 * g], high = words[2 * g + 1];
#pragma unroll
        for (unsigned r = 0; r < rows_per_thread; ++r) {
          const int low_signs = spread_bits(four >> (8 * r) & 15U);
          const int high_signs = spread_bits(four >> (8 * r + 4) & 15U);
#pragma unroll
          for (unsigned q = 0; q < queries; ++q)
            positive[r][q] = __dp4a(high_signs, high.of[q], __dp4a(low_signs, low.of[q], positive[r][q]));
        }
      }
    }
#pragma unroll
    for (unsigned q = 0; q < queries; ++q)
      if (open[q]) {
        const auto sum = [&](unsigned r) { return static_cast<short>(2 * positive[r][q] - total[q]); };
        write_sums<extend>(make_short4(sum(0), sum(1), sum(2), sum(3)), batch.query[first_query + q].dots + row);
      }
    __syncthreads();  // the totals have been read
  }
}

template <bool extend, class Views>
void run(const Context& context, const char* operation, std::span<const std::uint8_t> blocks, std::size_t dims,
         std::span<const Views> queries) {
  const std::size_t rows = blocks.size() / (dims / 8);
  if (rows == 0 || queries.empty()) return;
  expects_aligned(blocks.data(), sizeof(std::uint32_t), operation, "blocks");
  for (const Views& query : queries) {
    expects_aligned(query.table.data(), sizeof(uint4), operation, "table");
    expects_aligned(query.dots.data(), sizeof(short4), operation, "dots");
  }
  for (std::size_t first = 0; first < queries.size(); first += max_batch) {
    Batch batch{};
    for (const Views& query : queries.subspan(first, std::min(max_batch, queries.size() - first))) {
      Query& view = batch.query[batch.count++];
      view = {reinterpret_cast<const uint4*>(query.table.data()), query.dots.data(), nullptr};
      if constexpr (extend) view.open = query.open.data();
    }
    const auto launch = [&](auto kernel) {
      kernel<<<grid_of(rows, rows_per_block, operation), block_width, 0, stream_of(context)>>>(
          blocks.data(), rows, static_cast<unsigned>(dims / 8), batch);
      check_launch(operation);
    };
    // Narrow passes for few queries: an unused one would cost as much as a used one.
    if (batch.count == 1)
      launch(screen_kernel<1, extend>);
    else if (batch.count == 2)
      launch(screen_kernel<2, extend>);
    else if (batch.count <= 4)
      launch(screen_kernel<4, extend>);
    else
      launch(screen_kernel<8, extend>);
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

// Flash attention of two matrix products a tile, with the softmax of its rows between them. A tile is up to 8192 rows
// (queries of tokens, times heads of the group) against 512 tokens, whose 16-bit keys and values are widened first: pages one
// by one would be products of 64 columns, too small to keep a GPU busy. Queries are read, and outputs summed up, where the
// caller has them.
//
// Tokens before the first one of a tile see nothing of it, and are no rows of it: of the blocks on the diagonal half is
// computed in vain, of those above it nothing. One warp owns one row of logits, 16 numbers a lane in registers, so that a row
// is read once and written once.
#include <algorithm>
#include <limits>
#include <vector>

#include "blas.cuh"
#include "ops.hpp"
#include "prefill_tile.hpp"
#include "scratch.cuh"
#include "signs.cuh"
#include "src/prefill_terms.hpp"

namespace mpp::kernels::cuda {
namespace {

constexpr const char* operation = "prefill_paged";
constexpr unsigned block_width = 256;
constexpr unsigned warp = 32;
constexpr auto tile_columns = static_cast<unsigned>(tile_tokens);
constexpr unsigned quads = tile_columns / (4 * warp);  // of logits in a lane
static_assert(tile_columns % (4 * warp) == 0 && tile_rows >= max_group);

// Of one read, all bits set where nothing was found: the place of the first query that is not finite, and the first page that
// is not exact, not full or stale.
struct Findings {
  unsigned long long query;
  unsigned page;
  unsigned last_tokens;  // of the last page
};
constexpr auto no_query = ~0ULL;
constexpr auto no_page = ~0U;

__device__ bool is_fine(const KvPage& page, bool last) {
  return fits_prefill(page, last) &&
         check_summary(page, *reinterpret_cast<const PageSummary*>(page.metadata)) == PageFault::none;
}

__global__ void __launch_bounds__(block_width)
    inspect_kernel(const AttendShape shape, const PrefillRead read, Findings* findings) {
  const std::size_t stride = std::size_t{gridDim.x} * block_width;
  const std::size_t first = std::size_t{blockIdx.x} * block_width + threadIdx.x;
  for (std::size_t page = first; page < read.page_count; page += stride)
    if (!is_fine(read.pages[page], page + 1 == read.page_count))
      atomicMin(&findings->page, static_cast<unsigned>(page));
  const unsigned last_tokens =
      min(unsigned{read.pages[read.page_count - 1].tokens}, static_cast<unsigned>(page_tokens));
  if (first == 0) findings->last_tokens = last_tokens;
  // Who asks for more tokens than there are may have no queries for them.
  if (read.tokens > (read.page_count - 1) * page_tokens + last_tokens) return;
  for (std::size_t i = first; i < read.tokens * shape.group * shape.head_dim; i += stride)
    if (!isfinite(read.queries[i])) atomicMin(&findings->query, static_cast<unsigned long long>(i));
}

// Numbers of the tokens from the first one of `pages` on, as floats: a thread takes 8 keys, or 8 values.
__global__ void __launch_bounds__(block_width)
    widen_kernel(KvType type, const KvPage* pages, unsigned head_dim, unsigned pieces, float* keys, float* values) {
  const unsigned piece = blockIdx.x * block_width + threadIdx.x;
  if (piece >= pieces) return;
  const unsigned of_page = static_cast<unsigned>(page_tokens) * head_dim / 8;
  const KvPage& page = pages[piece / of_page];
  const std::uint16_t* const from = blockIdx.y == 0 ? page.exact_keys : page.exact_values;
  const uint4 bits = reinterpret_cast<const uint4*>(from)[piece % of_page];
  const auto wide = [type](std::uint32_t pair) {
    return type == KvType::float16 ? __half22float2(reinterpret_cast<const __half2&>(pair))
                                   : float2{__uint_as_float(pair << 16), __uint_as_float(pair & 0xFFFF0000U)};
  };
  const float2 pairs[4] = {wide(bits.x), wide(bits.y), wide(bits.z), wide(bits.w)};
  float4* const to = reinterpret_cast<float4*>(blockIdx.y == 0 ? keys : values) + std::size_t{piece} * 2;
  to[0] = {pairs[0].x, pairs[0].y, pairs[1].x, pairs[1].y};
  to[1] = {pairs[2].x, pairs[2].y, pairs[3].x, pairs[3].y};
}

// Rows of a tile, and their softmax so far: output and total are relative to e^max_logit.
struct Rows {
  float* logits;  // [count][tile_columns]
  float* output;  // [count][head_dim]
  float *max_logit, *total;
  unsigned count, group, head_dim;
  unsigned columns;  // that the tile has
  unsigned seen;     // by the first row; the next token sees one more
  bool first;        // tile of the rows: there is nothing yet
};

template <class Operation>
__device__ float over_warp(float value, Operation merge) {
#pragma unroll
  for (unsigned step = warp / 2; step > 0; step /= 2) value = merge(value, __shfl_xor_sync(~0U, value, step));
  return value;
}

// Weights of the tokens that each row sees, in place of its logits, and 0 for the others of the tile.
__global__ void __launch_bounds__(block_width) weigh_kernel(const Rows rows) {
  const unsigned row = blockIdx.x * (block_width / warp) + threadIdx.x / warp, lane = threadIdx.x % warp;
  if (row >= rows.count) return;
  const unsigned seen = min(rows.columns, rows.seen + row / rows.group);  // at least 1
  float4* const logits = reinterpret_cast<float4*>(rows.logits + std::size_t{row} * tile_columns);
  const auto column = [lane](unsigned quad) { return 4 * (quad * warp + lane); };
  float weight[quads][4] = {};
#pragma unroll
  for (unsigned quad = 0; quad < quads; ++quad)
    if (column(quad) < seen) {
      const float4 four = logits[quad * warp + lane];
      weight[quad][0] = four.x, weight[quad][1] = four.y, weight[quad][2] = four.z, weight[quad][3] = four.w;
    }
  const float before = rows.first ? -std::numeric_limits<float>::infinity() : rows.max_logit[row];
  float largest = before;
#pragma unroll
  for (unsigned quad = 0; quad < quads; ++quad)
#pragma unroll
    for (unsigned i = 0; i < 4; ++i)
      if (column(quad) + i < seen) largest = fmaxf(largest, weight[quad][i]);
  largest = over_warp(largest, [](float a, float b) { return fmaxf(a, b); });
  // A logit that is no number is not the largest one, but makes its weight, and so the output, no number.
  float mass = 0.0F;
#pragma unroll
  for (unsigned quad = 0; quad < quads; ++quad) {
#pragma unroll
    for (unsigned i = 0; i < 4; ++i) {
      weight[quad][i] = column(quad) + i < seen ? expf(weight[quad][i] - largest) : 0.0F;
      mass += weight[quad][i];
    }
    if (column(quad) < rows.columns)
      logits[quad * warp + lane] = {weight[quad][0], weight[quad][1], weight[quad][2], weight[quad][3]};
  }
  mass = over_warp(mass, [](float a, float b) { return a + b; });
  const float shrink = expf(before - largest);
  if (lane == 0) {
    rows.total[row] = rows.first ? mass : rows.total[row] * shrink + mass;
    rows.max_logit[row] = largest;
  }
  if (rows.first || shrink == 1.0F) return;
  float* const output = rows.output + std::size_t{row} * rows.head_dim;
  for (unsigned channel = lane; channel < rows.head_dim; channel += warp) output[channel] *= shrink;
}

__global__ void __launch_bounds__(block_width)
    divide_kernel(float* output, const float* total, unsigned head_dim, unsigned count) {
  const unsigned i = blockIdx.x * block_width + threadIdx.x;
  if (i < count) output[i] /= total[i / head_dim];
}

template <class T>
T fetch(const Context& context, const T* from) {
  T value;
  check(cudaMemcpyAsync(&value, from, sizeof(T), cudaMemcpyDefault, stream_of(context)), operation);
  finish(context, operation);
  return value;
}

// The same sentences as the CPU's: what was found is looked at here.
void expects_fine(const Context& context, const AttendShape& shape, const PrefillRead& read, const Findings& findings) {
  if (findings.page != no_page) {
    const KvPage page = fetch(context, read.pages + findings.page);
    expects_page(page, findings.page, findings.page + 1 == read.page_count);
    const auto* const summary = reinterpret_cast<const PageSummary*>(page.metadata);
    expects_summary(page, findings.page, fetch(context, summary));
    throw StalePage(text("prefill_paged: page ", findings.page, " changes while it is read"));
  }
  expects_tokens(read.tokens, (read.page_count - 1) * page_tokens + findings.last_tokens);
  if (findings.query != no_query) expects_finite(shape, findings.query, fetch(context, read.queries + findings.query));
}

std::vector<Findings> inspect(const Context& context, const AttendShape& shape, std::span<const PrefillRead> reads) {
  constexpr std::size_t most_blocks = 1024, per_thread = 16;
  const Scratch<Findings> found(context, reads.size(), operation);
  std::vector<Findings> findings(reads.size());
  const std::size_t bytes = findings.size() * sizeof(Findings);
  check(cudaMemsetAsync(found.get(), 0xFF, bytes, stream_of(context)), operation);
  for (std::size_t i = 0; i < reads.size(); ++i) {
    const std::size_t tokens = std::min(reads[i].tokens, reads[i].page_count * page_tokens);
    const std::size_t threads = std::max(reads[i].page_count, tokens * shape.group * shape.head_dim / per_thread);
    const auto blocks = static_cast<unsigned>(std::min(most_blocks, (threads + block_width - 1) / block_width));
    inspect_kernel<<<blocks, block_width, 0, stream_of(context)>>>(shape, reads[i], found.get() + i);
    check_launch(operation);
  }
  check(cudaMemcpyAsync(findings.data(), found.get(), bytes, cudaMemcpyDeviceToHost, stream_of(context)), operation);
  finish(context, operation);
  return findings;
}

// Scratch memory, in parts that are aligned for cuBLAS and for loads of 16 bytes.
struct Parts {
  std::span<std::byte> workspace;
  float *logits, *keys, *values, *max_logit, *total;

  Parts(std::span<float> scratch, std::size_t head_dim) {
    const auto address = reinterpret_cast<std::uintptr_t>(scratch.data());
    auto* const start = reinterpret_cast<std::byte*>(scratch.data()) + (blas_alignment - address % blas_alignment);
    workspace = {start, blas_workspace_bytes};
    logits = reinterpret_cast<float*>(start + blas_workspace_bytes);
    keys = logits + tile_rows * tile_tokens;
    values = keys + tile_tokens * head_dim;
    max_logit = values + tile_tokens * head_dim;
    total = max_logit + tile_rows;
  }
};

void attend(const Context& context, const AttendShape& shape, const PrefillRead& read, std::size_t kv_len,
            const Parts& parts, const Blas& blas) {
  const std::size_t dim = shape.head_dim, group = shape.group, together = tile_rows / group;
  const auto head_dim = static_cast<unsigned>(dim);
  for (std::size_t first = 0; first < read.tokens; first += together) {
    const std::size_t count = std::min(together, read.tokens - first);
    const std::size_t before = kv_len - read.tokens + first;  // tokens that are older than the first query
    const float* const queries = read.queries + first * group * dim;
    float* const output = read.output + first * group * dim;
    for (std::size_t start = 0; start < before + count; start += tile_tokens) {
      const std::size_t columns = std::min(tile_tokens, before + count - start);
      const std::size_t blind = start > before ? start - before : 0;  // queries that see nothing of the tile
      const std::size_t skipped = blind * group, rows = (count - blind) * group;

      const std::size_t pieces = columns * dim / 8;
      widen_kernel<<<dim3(grid_of(pieces, block_width, operation), 2), block_width, 0, stream_of(context)>>>(
          shape.type, read.pages + start / page_tokens, head_dim, static_cast<unsigned>(pieces), parts.keys,
          parts.values);
      check_launch(operation);

      blas.multiply_transposed(shape.scale, {queries + skipped * dim, rows, dim, dim}, {parts.keys, columns, dim, dim},
                               {parts.logits, rows, columns, tile_tokens});
      const Rows weighed{.logits = parts.logits,
                         .output = output + skipped * dim,
                         .max_logit = parts.max_logit + skipped,
                         .total = parts.total + skipped,
                         .count = static_cast<unsigned>(rows),
                         .group = static_cast<unsigned>(group),
                         .head_dim = head_dim,
                         .columns = static_cast<unsigned>(columns),
                         .seen = static_cast<unsigned>(before + blind + 1 - start),
                         .first = start == 0};
      weigh_kernel<<<grid_of(rows, block_width / warp, operation), block_width, 0, stream_of(context)>>>(weighed);
      check_launch(operation);
      blas.multiply_add({parts.logits, rows, columns, tile_tokens}, {parts.values, columns, dim, dim},
                        start == 0 ? 0.0F : 1.0F, {weighed.output, rows, dim, dim});
    }
    const std::size_t numbers = count * group * dim;
    divide_kernel<<<grid_of(numbers, block_width, operation), block_width, 0, stream_of(context)>>>(
        output, parts.total, head_dim, static_cast<unsigned>(numbers));
    check_launch(operation);
  }
}

}  // namespace

void prefill_paged(const Context& context, const AttendShape& shape, std::span<const PrefillRead> reads,
                   std::span<float> scratch) {
  if (reads.empty()) return;
  const std::vector<Findings> findings = inspect(context, shape, reads);
  for (std::size_t i = 0; i < reads.size(); ++i) expects_fine(context, shape, reads[i], findings[i]);
  const Parts parts(scratch, shape.head_dim);
  {
    const Blas blas(context, parts.workspace, operation);
    for (std::size_t i = 0; i < reads.size(); ++i)
      attend(context, shape, reads[i], (reads[i].page_count - 1) * page_tokens + findings[i].last_tokens, parts, blas);
  }
  finish(context, operation);
}

}  // namespace mpp::kernels::cuda

// Flash attention in blocks: 64 rows (queries of a token times heads of the group) against the 64 tokens of a page.
#include <mpp/kernels/prefill_paged.hpp>

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include <Eigen/Core>

#include "src/cpu/ops.hpp"
#include "src/prefill_terms.hpp"

namespace mpp::kernels::cpu {
namespace {

constexpr std::size_t tokens_together(std::size_t group) { return group >= 64 ? 1 : (64 + group - 1) / group; }

using Matrix = Eigen::Map<Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>>;
using Index = Eigen::Index;

// A block of queries: its softmax so far.
struct Block {
  Matrix query, logits, output;
  std::span<float> max_logit, total;
};

void load(KvType type, const std::uint16_t* bits, std::size_t n, float* numbers) {
  std::transform(bits, bits + n, numbers, [type](std::uint16_t x) { return stored_number(type, x); });
}

// Weights of the tokens that each row may see, in place of its logits. Row r sees the first visible(r), perhaps none.
template <class Visible>
void weigh(Block& block, Visible visible) {
  for (Index r = 0; r < block.logits.rows(); ++r) {
    const auto i = static_cast<std::size_t>(r);
    const Index seen = std::min<Index>(visible(r), block.logits.cols());
    block.logits.row(r).tail(block.logits.cols() - seen).setZero();
    if (seen == 0) continue;
    auto logits = block.logits.row(r).head(seen).array();
    const float max_logit = std::max(block.max_logit[i], logits.maxCoeff());
    const float shrink = std::exp(block.max_logit[i] - max_logit);
    logits = (logits - max_logit).exp();
    block.output.row(r) *= shrink;
    block.total[i] = block.total[i] * shrink + logits.sum();
    block.max_logit[i] = max_logit;
  }
}

}  // namespace

std::size_t prefill_scratch_floats(const AttendShape& shape) noexcept {
  const std::size_t rows = tokens_together(shape.group) * shape.group;
  return 2 * page_tokens * shape.head_dim + rows * (page_tokens + 2 * shape.head_dim + 2);
}

void prefill_paged(const AttendShape& shape, const PrefillRead& read, std::span<float> scratch) {
  const std::size_t d = shape.head_dim;
  for (std::size_t p = 0; p < read.page_count; ++p) {
    expects_page(read.pages[p], p, p + 1 == read.page_count);
    expects_summary(read.pages[p], p, *PageFields(read.pages[p].metadata, d).summary);
  }
  const std::size_t kv_len = (read.page_count - 1) * page_tokens + read.pages[read.page_count - 1].tokens;
  expects_tokens(read.tokens, kv_len);
  for (std::size_t i = 0; i < read.tokens * shape.group * d; ++i) expects_finite(shape, i, read.queries[i]);

  float* next = scratch.data();
  const auto take = [&](std::size_t n) { return std::exchange(next, next + n); };
  const auto matrix = [&](std::size_t rows, std::size_t columns) {
    return Matrix(take(rows * columns), static_cast<Index>(rows), static_cast<Index>(columns));
  };
  Matrix keys = matrix(page_tokens, d);
  Matrix values = matrix(page_tokens, d);
  float* const block_scratch = next;
  const std::size_t before = kv_len - read.tokens;  // tokens that are older than the first query
  for (std::size_t first = 0; first < read.tokens; first += tokens_together(shape.group)) {
    const std::size_t count = std::min(tokens_together(shape.group), read.tokens - first);
    const std::size_t rows = count * shape.group;
    next = block_scratch;
    Block block{matrix(rows, d), matrix(rows, page_tokens), matrix(rows, d), {take(rows), rows}, {take(rows), rows}};
    const float* queries = read.queries + first * shape.group * d;
    std::transform(queries, queries + rows * d, block.query.data(), [&](float q) { return q * shape.scale; });
    block.output.setZero();
    std::ranges::fill(block.max_logit, -std::numeric_limits<float>::infinity());
    std::ranges::fill(block.total, 0.0F);
    for (std::size_t p = 0; p * page_tokens < before + first + count; ++p) {
      load(shape.type, read.pages[p].exact_keys, read.pages[p].tokens * d, keys.data());
      load(shape.type, read.pages[p].exact_values, read.pages[p].tokens * d, values.data());
      const auto tokens = static_cast<Index>(read.pages[p].tokens);
      Matrix logits(block.logits.data(), static_cast<Index>(rows), tokens);
      logits.noalias() = block.query * keys.topRows(tokens).transpose();
      Block page{block.query, logits, block.output, block.max_logit, block.total};
      weigh(page, [&](Index r) {
        const std::size_t end = before + first + static_cast<std::size_t>(r) / shape.group + 1;
        return static_cast<Index>(end > p * page_tokens ? end - p * page_tokens : 0);
      });
      block.output.noalias() += logits * values.topRows(tokens);
    }
    for (std::size_t r = 0; r < rows; ++r) block.output.row(static_cast<Index>(r)) /= block.total[r];
    std::copy_n(block.output.data(), rows * d, read.output + first * shape.group * d);
  }
}

}  // namespace mpp::kernels::cpu

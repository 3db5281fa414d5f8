// 8 lanes own one row, because the order of summation has 8 lanes: lane i adds the coordinates i, i + 8, ... and the
// shuffles over distance 4, 2, 1 are the documented tree. The 8 lanes read 32 contiguous bytes, one memory sector,
// and the rows of a warp follow each other. The query is shared by all and stays in the first-level cache.
// Products and sums are written as separate, correctly rounded operations: the scores equal those of the CPU.
#include "check.cuh"
#include "ops.hpp"

namespace mpp::kernels::cuda {
namespace {

constexpr unsigned block_width = 256;
constexpr unsigned lanes = 8;

__device__ double plus_product(double sum, double a, double b) { return __dadd_rn(sum, __dmul_rn(a, b)); }

// ((0+4)+(2+6)) + ((1+5)+(3+7)) in every lane: addition commutes, so partners agree bit for bit.
__device__ double over_lanes(double sum) {
  for (unsigned step = lanes / 2; step > 0; step /= 2) sum = __dadd_rn(sum, __shfl_xor_sync(~0U, sum, step));
  return sum;
}

template <Metric metric>
__global__ void rescore_kernel(const float* rows, std::size_t n, std::size_t dims, const float* query, double* scores) {
  const std::size_t row = (std::size_t{blockIdx.x} * block_width + threadIdx.x) / lanes;
  const unsigned lane = threadIdx.x % lanes;
  double sum = 0.0, row_square = 0.0, query_square = 0.0;
  if (row < n)
    for (std::size_t j = lane; j < dims; j += lanes) {
      const double x = rows[row * dims + j], q = query[j];
      if constexpr (metric == Metric::l2) {
        const double difference = __dsub_rn(x, q);
        sum = plus_product(sum, difference, difference);
      } else {
        sum = plus_product(sum, x, q);
      }
      if constexpr (metric == Metric::cosine) {
        row_square = plus_product(row_square, x, x);
        query_square = plus_product(query_square, q, q);
      }
    }
  double score = over_lanes(sum);
  if constexpr (metric == Metric::l2) score = -score;
  if constexpr (metric == Metric::cosine) {
    const double norms = __dmul_rn(__dsqrt_rn(over_lanes(query_square)), __dsqrt_rn(over_lanes(row_square)));
    score = __ddiv_rn(score, norms);
  }
  if (row < n && lane == 0) scores[row] = score;
}

}  // namespace

void rescore(const Context& context, std::span<const float> rows, std::span<const float> query, Metric metric,
             std::span<double> scores) {
  constexpr const char* operation = "rescore";
  if (scores.empty()) return;
  const auto launch = [&](auto kernel) {
    kernel<<<grid_of(scores.size() * lanes, block_width, operation), block_width, 0, stream_of(context)>>>(
        rows.data(), scores.size(), query.size(), query.data(), scores.data());
    check_launch(operation);
  };
  switch (metric) {
    case Metric::inner_product:
      launch(rescore_kernel<Metric::inner_product>);
      break;
    case Metric::cosine:
      launch(rescore_kernel<Metric::cosine>);
      break;
    case Metric::l2:
      launch(rescore_kernel<Metric::l2>);
      break;
  }
  finish(context, operation);
}

}  // namespace mpp::kernels::cuda

#include <array>
#include <cmath>

#include "src/cpu/ops.hpp"

namespace mpp::kernels::cpu {
namespace {

// Sum of term(j) in the order that all devices share: see rescore.hpp.
template <class Term>
double ordered_sum(std::size_t n, Term term) {
  std::array<double, 8> lane{};
  std::size_t j = 0;
  for (; j + 8 <= n; j += 8)
    for (std::size_t i = 0; i < 8; ++i) lane[i] += term(j + i);
  for (std::size_t i = 0; j + i < n; ++i) lane[i] += term(j + i);
  return ((lane[0] + lane[4]) + (lane[2] + lane[6])) + ((lane[1] + lane[5]) + (lane[3] + lane[7]));
}

double dot(const float* a, const float* b, std::size_t n) {
  return ordered_sum(n, [=](std::size_t j) { return static_cast<double>(a[j]) * static_cast<double>(b[j]); });
}

double squared_distance(const float* a, const float* b, std::size_t n) {
  return ordered_sum(n, [=](std::size_t j) {
    const double difference = static_cast<double>(a[j]) - static_cast<double>(b[j]);
    return difference * difference;
  });
}

}  // namespace

void rescore(const Context&, std::span<const float> rows, std::span<const float> query, Metric metric,
             std::span<double> scores) {
  const std::size_t dims = query.size();
  const float* q = query.data();
  const double query_norm = metric == Metric::cosine ? std::sqrt(dot(q, q, dims)) : 1.0;
  for (std::size_t i = 0; i < scores.size(); ++i) {
    const float* row = rows.data() + i * dims;
    switch (metric) {
      case Metric::inner_product:
        scores[i] = dot(row, q, dims);
        break;
      case Metric::cosine:
        scores[i] = dot(row, q, dims) / (query_norm * std::sqrt(dot(row, row, dims)));
        break;
      case Metric::l2:
        scores[i] = -squared_distance(row, q, dims);
        break;
    }
  }
}

}  // namespace mpp::kernels::cpu

#pragma once
#include <cmath>
#include <span>
#include <vector>

#include <mpp/kernels/rescore.hpp>
#include <mpp/kernels/topk.hpp>

#include "reference/quad.hpp"

namespace mpp::reference {

/// One score in the documented order of summation, written out: bit for bit what every device returns.
inline double ordered_score(std::span<const float> row, std::span<const float> query, kernels::Metric metric) {
  const auto sum = [&](auto term) {
    double lane[8] = {};
    for (std::size_t j = 0; j < query.size(); ++j) lane[j % 8] = lane[j % 8] + term(j);
    return ((lane[0] + lane[4]) + (lane[2] + lane[6])) + ((lane[1] + lane[5]) + (lane[3] + lane[7]));
  };
  const double dot = sum([&](std::size_t j) { return double{row[j]} * double{query[j]}; });
  switch (metric) {
    case kernels::Metric::inner_product:
      return dot;
    case kernels::Metric::l2:
      return -sum([&](std::size_t j) {
        const double d = double{row[j]} - double{query[j]};
        return d * d;
      });
    case kernels::Metric::cosine:
      break;
  }
  const double rows = std::sqrt(sum([&](std::size_t j) { return double{row[j]} * double{row[j]}; }));
  const double queries = std::sqrt(sum([&](std::size_t j) { return double{query[j]} * double{query[j]}; }));
  return dot / (queries * rows);
}

/// q . x, exact up to 2^-113.
template <class A, class B>
Quad exact_dot(std::span<const A> a, std::span<const B> b) {
  Quad sum = 0;
  for (std::size_t j = 0; j < a.size(); ++j) sum += Quad{a[j]} * b[j];
  return sum;
}

/// The k best by repeated search for the best of what is left.
inline std::vector<kernels::Scored> topk(std::vector<kernels::Scored> items, std::size_t k) {
  std::vector<kernels::Scored> best;
  for (; best.size() < k && !items.empty();) {
    std::size_t first = 0;
    for (std::size_t i = 1; i < items.size(); ++i)
      if (items[i].score > items[first].score ||
          (items[i].score == items[first].score && items[i].id < items[first].id))
        first = i;
    best.push_back(items[first]);
    items.erase(items.begin() + static_cast<std::ptrdiff_t>(first));
  }
  return best;
}

}  // namespace mpp::reference

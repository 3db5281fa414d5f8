#pragma once
#include <span>
#include <string>
#include <vector>

#include <mpp/core/error.hpp>
#include <mpp/kernels/query_code.hpp>

#include "reference/sign_code.hpp"

namespace mpp::reference {

/// Empty when a coded query keeps the promises of quantize_query(), otherwise what it breaks.
inline std::string broken_promise(std::span<const double> query, kernels::QueryGrid grid,
                                  std::span<const std::int16_t> code, const kernels::QueryScale& scale) {
  Quad l1 = 0, l2 = 0;
  std::int64_t total = 0;
  for (std::size_t g = 0; g < query.size(); g += 4) {
    std::int64_t group = 0;
    for (std::size_t j = g; j < g + 4; ++j) {
      const Quad error = Quad{query[j]} - Quad{scale.step} * code[j];
      l1 += error < 0 ? -error : error;
      l2 += error * error;
      group += std::abs(std::int64_t{code[j]});
    }
    if (group > grid.group_sum) return text("group ", g / 4, " sums to ", group, ", above ", grid.group_sum);
    total += group;
  }
  if (total > grid.total_sum) return text("total is ", total, ", above ", grid.total_sum);
  if (!(Quad{scale.error_l1} >= l1)) return text("error_l1 ", scale.error_l1, " is below ", static_cast<double>(l1));
  if (!(Quad{scale.error_l2} * scale.error_l2 >= l2)) return text("error_l2 ", scale.error_l2, " is too small");
  return "";
}

inline std::vector<int> screen_table(std::span<const std::int16_t> code) {
  std::vector<int> table;
  for (std::size_t g = 0; g < code.size() / 4; ++g)
    for (unsigned pattern = 0; pattern < 16; ++pattern) {
      int sum = 127;
      for (std::size_t b = 0; b < 4; ++b) sum += (pattern >> b & 1U) != 0 ? code[4 * g + b] : -code[4 * g + b];
      table.push_back(sum);
    }
  return table;
}

/// v . code
inline std::int64_t dot(std::span<const int> v, std::span<const std::int16_t> code) {
  std::int64_t sum = 0;
  for (std::size_t j = 0; j < v.size(); ++j) sum += std::int64_t{v[j]} * code[j];
  return sum;
}

/// The integer dot products of a one-slice plane; rows beyond n up to a whole block are all -1.
inline std::vector<std::int64_t> screen(std::span<const std::uint8_t> codes, std::size_t dims,
                                        std::span<const std::int16_t> code) {
  const std::size_t n = codes.size() / (dims / 8);
  std::vector<std::int64_t> dots;
  for (std::size_t i = 0; i < kernels::blocks_of(n) * kernels::block_rows; ++i) {
    std::int64_t sum = 0;
    for (std::size_t j = 0; j < dims; ++j) sum += (i < n ? sign_at(codes, i, 1, 0, dims, j) : -1) * code[j];
    dots.push_back(sum);
  }
  return dots;
}

/// dots[i] = 2 dots[i] + s . code, once per slice.
inline std::vector<std::int64_t> refine_dots(std::span<const std::uint8_t> rows, std::size_t slice_count,
                                             std::span<const std::int16_t> code, std::vector<std::int64_t> dots) {
  for (std::size_t i = 0; i < dots.size(); ++i)
    for (std::size_t s = 0; s < slice_count; ++s) {
      dots[i] *= 2;
      for (std::size_t j = 0; j < code.size(); ++j)
        dots[i] += sign_at(rows, i, slice_count, s, code.size(), j) * code[j];
    }
  return dots;
}

}  // namespace mpp::reference

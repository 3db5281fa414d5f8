#pragma once
#include <algorithm>
#include <cmath>
#include <span>
#include <vector>

#include <mpp/kernels/interval.hpp>

#include "reference/quad.hpp"

namespace mpp::reference {

using kernels::BlockRows;
using kernels::Candidate;
using kernels::ScoreFrame;

struct Interval {
  long double mid, lower, upper;
};

/// The deterministic formula of ScoreFrame in long double, without outward rounding: what an implementation may exceed
/// by a little and must never fall below.
inline Interval interval(long double dot, long double base, long double a, long double r, long double n,
                         const ScoreFrame& frame) {
  const long double t = frame.step * dot;
  const long double e = std::min<long double>(frame.e1, frame.e2 * n);
  const long double projection = std::max(0.0L, std::fabs(t) - e);
  const long double across = frame.q2 - projection * projection / (n * n);
  const long double half = (r == 0 ? 0 : r * std::sqrt(std::max(0.0L, across))) + a * e +
                           a * (std::fabs(t) + e) * frame.relative + frame.slack;
  return {base + a * t, base + a * t - half, base + a * t + half};
}

inline long double base_of(const BlockRows& rows, std::size_t row) {
  return static_cast<long double>(rows.block_offset[row / 64]) + (rows.bias.empty() ? 0.0F : rows.bias[row]);
}
inline bool allowed(const BlockRows& rows, std::size_t row) { return (rows.allowed[row / 64] >> (row % 64) & 1U) != 0; }

inline long double norm_of(const BlockRows& rows, std::size_t row) {
  return rows.factors.norm.empty() ? rows.factors.same_norm : half_value(rows.factors.norm[row]);
}

inline Interval interval(std::span<const std::int16_t> dots, const BlockRows& rows, const ScoreFrame& frame,
                         std::size_t row) {
  return interval(dots[row], base_of(rows, row), half_value(rows.factors.scale[row]),
                  half_value(rows.factors.residual[row]), norm_of(rows, row), frame);
}

/// All allowed rows, best midpoint first, ties by row. Midpoints are rounded to float.
inline std::vector<Candidate> midpoints(std::span<const std::int16_t> dots, const BlockRows& rows,
                                        const ScoreFrame& frame) {
  std::vector<Candidate> all;
  for (std::size_t i = 0; i < dots.size(); ++i)
    if (allowed(rows, i))
      all.push_back({static_cast<float>(interval(dots, rows, frame, i).mid), static_cast<std::uint32_t>(i)});
  std::stable_sort(all.begin(), all.end(), [](const auto& a, const auto& b) { return a.score > b.score; });
  return all;
}

inline std::vector<std::uint32_t> set_bits(std::span<const std::uint64_t> words) {
  std::vector<std::uint32_t> rows;
  for (std::size_t i = 0; i < words.size() * 64; ++i)
    if ((words[i / 64] >> (i % 64) & 1U) != 0) rows.push_back(static_cast<std::uint32_t>(i));
  return rows;
}

}  // namespace mpp::reference

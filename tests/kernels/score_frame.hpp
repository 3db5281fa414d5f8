#pragma once
#include <cmath>
#include <limits>
#include <span>
#include <vector>

#include <mpp/kernels/interval.hpp>
#include <mpp/kernels/query_code.hpp>
#include <mpp/kernels/sign_code.hpp>

#include "reference/quad.hpp"

namespace mpp::kernels {

/// Smallest float >= value.
inline float float_above(reference::Quad value) {
  const auto nearest = static_cast<float>(value);
  return reference::Quad{nearest} >= value ? nearest : std::nextafter(nearest, std::numeric_limits<float>::infinity());
}
/// Largest float <= value.
inline float float_below(reference::Quad value) { return -float_above(-value); }

/// A query as integers with its frame: what turns an integer dot product into an interval.
struct CodedQuery {
  std::vector<std::int16_t> code;
  ScoreFrame frame;
};

/// Codes `query` on `grid` (with a step of the caller's choice when `step` > 0) and makes its frame as the doc of
/// ScoreFrame says: every field rounded outward, the query's rounding measured against the step as stored in float.
/// @param plane         that the frame is for: its codes reach 2^b - 1, so |e . v| is up to that many times ||e||_1
/// @param largest_base  bound on |offset + bias| of all rows, for the slack
inline CodedQuery code_query(std::span<const double> query, QueryGrid grid, std::size_t plane, double largest_base,
                             double step = 0.0) {
  CodedQuery out{.code = std::vector<std::int16_t>(query.size()), .frame = {}};
  if (step > 0.0)
    for (std::size_t j = 0; j < query.size(); ++j)
      out.code[j] = static_cast<std::int16_t>(std::nearbyint(query[j] / step));
  else
    step = quantize_query(query, grid, out.code).step;
  out.frame.step = static_cast<float>(step);
  reference::Quad squares = 0, l1 = 0, l2 = 0;
  for (std::size_t j = 0; j < query.size(); ++j) {
    const reference::Quad q = query[j], error = q - reference::Quad{out.frame.step} * out.code[j];
    squares += q * q;
    l1 += error < 0 ? -error : error;
    l2 += error * error;
  }
  const double e2 = std::sqrt(static_cast<double>(l2));
  out.frame.q2 = float_above(squares);
  out.frame.e1 = float_above(l1 * ((1 << plane_end[plane]) - 1));
  out.frame.e2 = float_above(e2 * (1 + 0x1p-50));
  // Half of one unit in the last place of a Half, and up to 8 float operations on the midpoint.
  out.frame.relative = 0x1p-11F + 0x1p-21F;
  // Scores are about 1: up to 8 float operations on sums of a base and a score.
  out.frame.slack = float_above(0x1p-21 * (largest_base + 2.0));
  return out;
}

}  // namespace mpp::kernels

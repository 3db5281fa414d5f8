#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include <mpp/kernels/query_code.hpp>
#include <mpp/kernels/screen.hpp>
#include <mpp/ranking/query_frame.hpp>

#include "src/beta_tail.hpp"
#include "src/nearest_float.hpp"
#include "src/rotation.hpp"
#include "src/running_sums.hpp"

namespace mpp::ranking {
namespace {

constexpr double outward = 1.0 + 0x1p-30;  // covers sums of up to 2^15 doubles
constexpr double float_rounding = 0x1p-24;

constexpr float infinity = std::numeric_limits<float>::infinity();
constexpr double largest_float = std::numeric_limits<float>::max();

float up(double value) { return std::nextafter(nearest_float(value), infinity); }

double norm(std::span<const double> v) {
  double sum = 0.0;
  for (const double x : v) sum += x * x;
  return std::sqrt(sum);
}

// The query as it is scored, in double: of unit length for cosine.
std::vector<double> in_double(const Pool& pool, std::span<const float> query) {
  expects<ShapeError>(query.size() == pool.dims(), "RankRequest: query has ", query.size(),
                      " values, expected dims = ", pool.dims());
  for (std::size_t j = 0; j < query.size(); ++j)
    expects<ValueError>(std::isfinite(query[j]), "RankRequest: query[", j, "] is ", query[j],
                        ", expected a finite value");
  std::vector<double> q(query.begin(), query.end());
  if (pool.metric() != Metric::cosine) return q;
  const double length = norm(q);
  expects<ValueError>(length > 0.0, "RankRequest: query has length 0, which has no cosine");
  for (double& x : q) x /= length;
  return q;
}

// Score of each cell's centre, in frame units. Returns the largest magnitude.
double write_offsets(const PoolColumns& c, std::span<const double> q, double to_frame, std::span<float> block_offset) {
  std::vector<double> cell(c.centers.size() / c.dims);
  double largest = 0.0;
  for (std::size_t i = 0; i < cell.size(); ++i) {
    const float* center = &c.centers[i * c.dims];
    const auto distance = [=](std::size_t j) { return (q[j] - center[j]) * (q[j] - center[j]); };
    const auto product = [=](std::size_t j) { return q[j] * center[j]; };
    cell[i] = to_frame * (c.metric == Metric::l2 ? -0.5 * sum_of(c.dims, distance) : sum_of(c.dims, product));
    largest = std::max(largest, std::fabs(cell[i]));
  }
  for (std::size_t b = 0; b < block_offset.size(); ++b) block_offset[b] = nearest_float(cell[c.block_cell[b]]);
  return largest;
}

// The constants that depend on how the query was rounded to integers.
kernels::ScoreFrame rounding_frame(const kernels::QueryScale& scale, std::span<const std::int16_t> code) {
  double total = 0.0;
  double squares = 0.0;
  for (const std::int16_t x : code) {
    total += std::fabs(static_cast<double>(x));
    squares += static_cast<double>(x) * x;
  }
  kernels::ScoreFrame frame;
  frame.step = nearest_float(scale.step);
  const double moved = std::fabs(scale.step - static_cast<double>(frame.step));  // the step itself is rounded to float
  // 2^-10 covers the product of this error with the rounding of the row's scale.
  frame.e1 = up((scale.error_l1 + moved * total) * (1.0 + 0x1p-10));
  frame.e2 = up((scale.error_l2 + moved * std::sqrt(squares)) * (1.0 + 0x1p-10));
  frame.relative = up(0x1p-11 * (1.0 + 0x1p-10) + 16.0 * float_rounding);
  return frame;
}

}  // namespace

Bytes frame_bytes(const Pool& pool) {
  const std::size_t dims = pool.columns().coded_dims;
  return Bytes{kernels::screen_table_bytes(dims)} + bytes_of<std::int16_t>(2 * dims) +
         bytes_of<float>(pool.columns().blocks());
}

void make_frame(const Pool& pool, std::span<const float> query, Delta look, QueryFrame& frame) {
  const PoolColumns& c = pool.columns();
  std::vector<double> q = in_double(pool, query);
  const double length = norm(q);
  // l2 adds squares of rows to products with the query: one unit for both. Otherwise the query gets its own.
  int query_exponent = c.unit_exponent;
  if (c.metric != Metric::l2) query_exponent = length > 0.0 ? std::ilogb(length) + 1 : 0;
  frame.exponent = query_exponent + c.unit_exponent;
  frame.unit = c.metric == Metric::l2 ? 2.0 : 1.0;

  frame.block_offset.resize(c.blocks());
  const double largest_offset = write_offsets(c, q, std::ldexp(1.0, -frame.exponent), frame.block_offset);

  q.resize(c.coded_dims, 0.0);
  std::vector<double> y(c.coded_dims);
  rotate(c.rotation.view(), c.coded_dims, q, std::ldexp(1.0, -query_exponent), y);
  frame.coarse_code.resize(c.coded_dims);
  frame.fine_code.resize(c.coded_dims);
  frame.table.resize(kernels::screen_table_bytes(c.coded_dims));
  const kernels::QueryScale coarse = kernels::quantize_query(y, kernels::coarse_grid, frame.coarse_code);
  const kernels::QueryScale fine = kernels::quantize_query(y, kernels::fine_grid, frame.fine_code);
  kernels::make_screen_table(frame.coarse_code, frame.table);

  const double to_row = std::ldexp(1.0, -c.unit_exponent);
  const double rounding = rotation_rounding(c.coded_dims);
  const double query_norm = std::ldexp(length, -query_exponent) * (1.0 + rounding) * outward;
  const double row_norm = c.largest_centered * to_row;
  const double any_norm = c.largest_row * to_row + query_norm;  // of rows, centres and, for l2, their difference
  const double terms = static_cast<double>(c.coded_dims) + 16.0;
  const double slots = static_cast<double>(c.slots());
  const double tail = look.value > 0.0 && slots > 0.0 ? sphere_coordinate_tail(c.coded_dims, look.value / slots) : 0.0;
  // How far query and row are from what a Haar rotation would have made of them; the randomized interval assumes one.
  const double turned = tail > 0.0 ? haar_rounding(c.coded_dims) + rounding + float_rounding : 0.0;
  // The rotation of the query and of the row, y to float, and for rows close to their codes 3 turned / rho, rho >= 4/5.
  const double relative = 2.0 * (1.0 + rounding) * rounding + 4.0 * float_rounding + 4.0 * turned;
  const double slack = query_norm * row_norm * relative                             // the rotated vectors
                       + 16.0 * float_rounding * (largest_offset + c.largest_bias)  // float sums with these
                       + 8.0 * terms * 0x1p-53 * any_norm * any_norm                // double sums, exact score
                       + static_cast<double>(std::numeric_limits<float>::min());    // strict, also at zero
  // Offsets or norms beyond float leave no room for an interval: with infinite slack every row stays open.
  const bool fits = largest_offset + c.largest_bias < 0x1p-2 * largest_float && query_norm * query_norm < largest_float;
  frame.coarse = rounding_frame(coarse, frame.coarse_code);
  frame.fine = rounding_frame(fine, frame.fine_code);
  frame.spent_per_look = look;
  for (kernels::ScoreFrame* f : {&frame.coarse, &frame.fine}) {
    f->q2 = up(query_norm * query_norm);
    f->slack = fits ? up(slack * outward) : infinity;
    f->tail = tail > 0.0 ? up(tail + 5.0 * turned) : 0.0F;  // 3 turned / sin(row, code) where rho < 4/5
  }
}

kernels::ScoreFrame plane_frame(const QueryFrame& frame, std::size_t plane) {
  kernels::ScoreFrame f = plane + 1 == kernels::planes ? frame.fine : frame.coarse;
  const auto largest_value = static_cast<double>((1U << kernels::plane_end[plane]) - 1);
  f.e1 = up(f.e1 * largest_value);
  return f;
}

float threshold_in_frame(const QueryFrame& frame, double score) {
  const double scaled = std::ldexp(score / frame.unit, -frame.exponent);
  return std::nextafter(nearest_float(scaled), -infinity);
}

double score_of_frame(const QueryFrame& frame, float value) {
  return std::ldexp(static_cast<double>(value), frame.exponent) * frame.unit;
}

}  // namespace mpp::ranking

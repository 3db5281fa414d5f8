#include <algorithm>
#include <cmath>

#include <mpp/core/error.hpp>
#include <mpp/kernels/query_code.hpp>

namespace mpp::kernels {
namespace {

constexpr std::size_t group = 4;
constexpr double outward = 1.0 + 0x1p-30;  // covers the rounding of sums of fewer than 2^20 doubles
constexpr double least_step = 0x1p-400;    // below it the squares of rounding errors would underflow

double rounded_sum(std::span<const double> query, double step) {
  double sum = 0.0;
  for (const double q : query) sum += std::fabs(std::nearbyint(q / step));
  return sum;
}

// Smallest step for which the rounded query respects the caps. Rounding adds at most 1/2 to each magnitude,
// so a cap of S over n values is respected when sum |q| / step + n / 2 <= S. Of many values those halves would take
// most of S, or more: there the sum itself is looked at.
double smallest_step(std::span<const double> query, QueryGrid grid) {
  double worst_group = 0.0;
  double total = 0.0;
  for (std::size_t j = 0; j < query.size(); j += group) {
    double sum = 0.0;
    for (std::size_t i = j; i < j + group; ++i) sum += std::fabs(query[i]);
    worst_group = std::max(worst_group, sum);
    total += sum;
  }
  const double group_room = static_cast<double>(grid.group_sum) - 0.5 * group;
  const auto cap = static_cast<double>(grid.total_sum);
  const double halves = 0.5 * static_cast<double>(query.size());
  if (halves <= 0.5 * cap) return std::max(worst_group / group_room, total / (cap - halves)) * outward;
  double step = std::max(worst_group / group_room, 0.5 * total / cap) * outward;
  while (step >= least_step && rounded_sum(query, step) > cap) step *= 1.0625;
  return step;
}

}  // namespace

QueryScale quantize_query(std::span<const double> query, QueryGrid grid, std::span<std::int16_t> code) {
  expects<ShapeError>(query.size() % group == 0, "quantize_query: query has ", query.size(),
                      " values, expected a multiple of ", group);
  expects<ShapeError>(code.size() == query.size(), "quantize_query: code has ", code.size(), " values, expected ",
                      query.size());
  expects<ValueError>(std::all_of(query.begin(), query.end(), [](double x) { return std::isfinite(x); }),
                      "quantize_query: query holds NaN or infinity, expected finite values");
  double step = smallest_step(query, grid);
  // One value may not exceed int16 either; a group cap above that leaves room for it.
  for (const double q : query) step = std::max(step, std::fabs(q) / 32767.0 * outward);
  expects<ValueError>(std::isfinite(step), "quantize_query: the magnitudes of query sum to infinity, expected less");
  if (step < least_step) {  // all of it is error, whose 1-norm bounds its 2-norm
    std::fill(code.begin(), code.end(), std::int16_t{0});
    double all = 0.0;
    for (const double q : query) all += std::fabs(q);
    return {.step = 0.0, .error_l1 = all * outward, .error_l2 = all * outward};
  }
  QueryScale scale{.step = step};
  double squares = 0.0;
  for (std::size_t j = 0; j < query.size(); ++j) {
    const double rounded = std::nearbyint(query[j] / step);
    code[j] = static_cast<std::int16_t>(rounded);
    // Two roundings, each at most 2^-53 of |query|: added to the error itself.
    const double error = std::fabs(query[j] - step * rounded) + 0x1p-51 * std::fabs(query[j]);
    scale.error_l1 += error;
    squares += error * error;
  }
  scale.error_l1 *= outward;
  scale.error_l2 = std::sqrt(squares) * outward;
  return scale;
}

}  // namespace mpp::kernels

#pragma once
#include <cstdint>
#include <span>

namespace mpp::kernels {

/// A query y as integers: y_j = step * code_j + e_j, with both norms of e rounded up.
struct QueryScale {
  double step{};      ///< positive; 0 for the zero query and for one too small to square
  double error_l1{};  ///< >= sum |e_j|
  double error_l2{};  ///< >= sqrt(sum e_j^2)
};

/// Limits that keep integer arithmetic exact. `coarse` fits the 8-bit tables of screen() and the 16-bit sums of two
/// slices, `fine` the 32-bit sums of refine_dots() over all 8 slices.
struct QueryGrid {
  std::int64_t group_sum;  ///< cap on the sum of |code_j| over each group of 4 consecutive j
  std::int64_t total_sum;  ///< cap on the sum of |code_j| over all j
};
inline constexpr QueryGrid coarse_grid{127, 32767 / 3};
inline constexpr QueryGrid fine_grid{4 * 32767, 8421504};  // 8421504 * 255 < 2^31

/// Rounds a query to the finest integer grid that respects `grid`. Runs on the host.
/// @param query [dims], finite; dims % 4 == 0    @param code [dims]
/// Guarantee: the caps hold, and error_l1 / error_l2 bound y - step * code for the doubles as passed in.
[[nodiscard]] QueryScale quantize_query(std::span<const double> query, QueryGrid grid, std::span<std::int16_t> code);

}  // namespace mpp::kernels

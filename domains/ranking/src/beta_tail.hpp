#pragma once
#include <cstddef>

namespace mpp::ranking {

/// Smallest t (rounded up) with P(|X| > t) <= delta, X one coordinate of a uniform point on the sphere that is left when
/// one direction of R^dims is taken away: X^2 ~ Beta(1/2, (dims - 2) / 2). 1 when no smaller t is certain (dims < 3).
/// @param delta in (0, 1)
[[nodiscard]] double sphere_coordinate_tail(std::size_t dims, double delta);

}  // namespace mpp::ranking

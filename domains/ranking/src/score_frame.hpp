#pragma once
#include <mpp/ranking/rank_tier.hpp>

namespace mpp::ranking {

/// Prepares a query against a pool: integer codes, offsets and the constants of its score intervals.
///
/// Frame scores are scores times 2^-exponent (half of that for l2, whose frame score is -||q - x||^2 / 2), so that
/// floats stay near 1. With y_q the rotated, scaled query and y the coded row,
///   score = offset + bias + y_q . y   up to   slack = ||y_q|| max||y|| (defect of the rotation + rounding of y to float)
///                                                   + rounding of offsets, of bias, of the exact score itself.
/// `look` is the probability that the randomized intervals of one plane may fail, over all slots together; 0 leaves
/// them out. Bytes: exactly frame_bytes().
/// @throws ShapeError, ValueError naming the query's defect
void make_frame(const Pool& pool, std::span<const float> query, Delta look, QueryFrame& frame);
[[nodiscard]] Bytes frame_bytes(const Pool& pool);

/// The frame of plane `plane`: what the query's rounding error costs grows with the code's range.
[[nodiscard]] kernels::ScoreFrame plane_frame(const QueryFrame& frame, std::size_t plane);

/// Largest float that is not above `score` in frame units: a threshold that excludes no row by rounding.
[[nodiscard]] float threshold_in_frame(const QueryFrame& frame, double score);
/// Score of a frame value; exact up to overflow.
[[nodiscard]] double score_of_frame(const QueryFrame& frame, float value);

}  // namespace mpp::ranking

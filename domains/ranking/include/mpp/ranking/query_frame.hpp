#pragma once
#include <cstdint>
#include <memory_resource>
#include <span>
#include <vector>

#include <mpp/core/control/bound.hpp>
#include <mpp/core/memory/uninitialized.hpp>
#include <mpp/kernels/interval.hpp>
#include <mpp/ranking/pool.hpp>

namespace mpp::ranking {

/// Everything a query contributes to score intervals.
struct QueryFrame {
  explicit QueryFrame(std::pmr::memory_resource* memory)
      : table(memory), coarse_code(memory), fine_code(memory), block_offset(memory) {}

  std::pmr::vector<std::uint8_t> table;        ///< of screen()
  std::pmr::vector<std::int16_t> coarse_code;  ///< [coded_dims], for planes 0 to 2
  std::pmr::vector<std::int16_t> fine_code;    ///< [coded_dims], for plane 3
  Buffer<float> block_offset;                  ///< [blocks]
  kernels::ScoreFrame coarse, fine;            ///< e1 is of plane 0, or of v = 1
  int exponent = 0;                            ///< score = unit * 2^exponent * frame score
  double unit = 1.0;                           ///< 2 for l2, else 1
  Delta spent_per_look{};                      ///< probability that an interval of one plane fails
};

/// Prepares a query against a pool: integer codes, offsets and the constants of its score intervals.
///
/// Frame scores are scores times 2^-exponent (half of that for l2, whose frame score is -||q - x||^2 / 2), so that
/// floats stay near 1. With y_q the rotated, scaled query and y the coded row,
///   score = offset + bias + y_q . y   up to   slack = ||y_q|| max||y|| (rounding of the rotation and of y to float,
///                                                             and with delta > 0 of the rotation's tails)
///                                                   + rounding of offsets, of bias, of the exact score itself.
/// `look` is the probability that the randomized intervals of one plane may fail, over all slots together; 0 leaves
/// them out. Bytes: exactly frame_bytes().
/// @throws ShapeError, ValueError naming the query's defect
void make_frame(const Pool& pool, std::span<const float> query, Delta look, QueryFrame& frame);
[[nodiscard]] Bytes frame_bytes(const Pool& pool);

/// The frame of plane `plane`: what the query's rounding error costs grows with the code's range.
[[nodiscard]] kernels::ScoreFrame plane_frame(const QueryFrame& frame, std::size_t plane);

/// A float just below `score` in frame units: a threshold that excludes no row by rounding.
[[nodiscard]] float threshold_in_frame(const QueryFrame& frame, double score);
/// Score of a frame value; exact up to overflow.
[[nodiscard]] double score_of_frame(const QueryFrame& frame, float value);

}  // namespace mpp::ranking

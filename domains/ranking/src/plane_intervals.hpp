#pragma once
#include <span>

#include <mpp/ranking/query_frame.hpp>

namespace mpp::ranking {

/// What the kernels need to know of the rows of a block plane.
[[nodiscard]] kernels::BlockRows block_rows_of(const PoolColumns& columns, const QueryFrame& frame, std::size_t plane,
                                               std::span<const std::uint64_t> open);

/// Intersects the intervals of the listed rows with those of a plane.
/// @param slots, dots, intervals  [n]; dots after that plane, intervals in frame units
void tighten(const PoolColumns& columns, const QueryFrame& frame, std::size_t plane,
             std::span<const std::uint32_t> slots, std::span<const std::int32_t> dots,
             std::span<kernels::ScoreInterval> intervals);

}  // namespace mpp::ranking

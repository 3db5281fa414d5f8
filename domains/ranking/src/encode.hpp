#pragma once
#include <span>
#include <vector>

#include <mpp/ranking/pool.hpp>

namespace mpp::ranking {

/// Refuses rows that cannot be ranked. `first` is the number of rows[0] in what the caller passed.
/// @throws ValueError naming the row: not finite, or of length zero for cosine
void check_rows(std::span<const float> rows, std::size_t dims, Metric metric, std::size_t first = 0);

/// Where each row goes and what it is coded around.
struct Placement {
  std::span<const std::uint32_t> cell;  ///< [n]
  std::span<const std::uint32_t> slot;  ///< [n]
};

/// ||x - c|| of each row, [n], rounded up; x has unit length for cosine.
[[nodiscard]] std::vector<double> centered_norms(std::span<const float> rows, std::span<const std::uint32_t> cell,
                                                 const PoolColumns& columns);

/// Codes rows into their slots: resident plane, factors, bias, backing planes, fp32 rows. Sets neither ids nor live bits.
/// Updates the largest_* scalars of `columns`.
void encode_rows(std::span<const float> rows, const Placement& placement, float clip, const Progress& progress,
                 PoolColumns& columns);

}  // namespace mpp::ranking

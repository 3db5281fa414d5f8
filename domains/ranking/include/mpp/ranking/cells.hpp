#pragma once
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace mpp::ranking {

/// Centres and which of them each row belongs to. Any assignment is sound; a good one makes codes tighter.
struct Cells {
  std::vector<float> centers;             ///< [cells, dims]
  std::vector<std::uint32_t> assignment;  ///< [rows]
};

/// The mean of the rows as the only centre.
[[nodiscard]] Cells single_cell(std::span<const float> rows, std::size_t dims);

/// k-means cells trained by FAISS on a sample. Deterministic for a seed and a FAISS version.
/// @param rows [n, dims]    @param count in [1, n]
/// @throws BackendUnavailable if the library was built without FAISS
[[nodiscard]] Cells kmeans_cells(std::span<const float> rows, std::size_t dims, std::size_t count, std::uint64_t seed);

}  // namespace mpp::ranking

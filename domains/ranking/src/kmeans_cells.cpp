#include <mpp/ranking/cells.hpp>

#if MPP_HAVE_FAISS
#include <algorithm>
#include <limits>
#include <random>

#include <faiss/Clustering.h>
#include <faiss/IndexFlat.h>

#include <mpp/core/error.hpp>

#include "src/faiss_id.hpp"
#include "src/float_distances.hpp"

namespace mpp::ranking {
namespace {

constexpr std::size_t rows_per_center = 64;  // more sharpen the centres little and cost training time
constexpr int iterations = 12;
constexpr std::size_t chunk_rows = 65536;

// One row from each of `count` equal stretches: reads in order, needs no permutation of all rows.
std::vector<float> sample(std::span<const float> rows, std::size_t dims, std::size_t count, std::uint64_t seed) {
  const std::size_t n = rows.size() / dims;
  std::mt19937_64 random(seed);
  std::vector<float> chosen;
  chosen.reserve(count * dims);
  for (std::size_t i = 0; i < count; ++i) {
    const std::size_t first = i * n / count;
    const std::size_t row = first + random() % ((i + 1) * n / count - first);
    chosen.insert(chosen.end(), rows.data() + row * dims, rows.data() + (row + 1) * dims);
  }
  return chosen;
}

std::vector<float> train(std::span<const float> rows, std::size_t dims, std::size_t count, std::uint64_t seed,
                         faiss::IndexFlatL2& index) {
  faiss::ClusteringParameters parameters;
  parameters.niter = iterations;
  parameters.seed = static_cast<int>(seed % std::numeric_limits<int>::max());
  parameters.min_points_per_centroid = 1;  // fewer would make FAISS print a warning
  parameters.max_points_per_centroid = rows_per_center;
  faiss::Clustering clustering(static_cast<int>(dims), static_cast<int>(count), parameters);
  clustering.train(static_cast<FaissId>(rows.size() / dims), rows.data(), index);
  return clustering.centroids;
}

}  // namespace

Cells kmeans_cells(std::span<const float> rows, std::size_t dims, std::size_t count, std::uint64_t seed) {
  expects<ShapeError>(dims > 0 && dims <= std::numeric_limits<int>::max() && rows.size() % dims == 0,
                      "kmeans_cells: rows has ", rows.size(), " values, expected a multiple of dims = ", dims);
  const std::size_t n = rows.size() / dims;
  expects<ValueError>(count >= 1 && count <= n && count <= std::numeric_limits<int>::max(), "kmeans_cells: count is ",
                      count, ", expected in [1, rows = ", n, "]");
  check_float_distances("kmeans_cells", "rows", rows, dims);
  std::vector<float> chosen;
  std::span<const float> training = rows;
  if (n / count >= rows_per_center) training = chosen = sample(rows, dims, rows_per_center * count, seed);

  faiss::IndexFlatL2 index(static_cast<FaissId>(dims));
  Cells cells{train(training, dims, count, seed, index), std::vector<std::uint32_t>(n)};

  std::vector<FaissId> nearest(std::min(n, chunk_rows));
  for (std::size_t first = 0; first < n; first += chunk_rows) {
    const std::size_t rows_here = std::min(chunk_rows, n - first);
    index.assign(static_cast<FaissId>(rows_here), rows.data() + first * dims, nearest.data());
    for (std::size_t i = 0; i < rows_here; ++i) cells.assignment[first + i] = static_cast<std::uint32_t>(nearest[i]);
  }
  return cells;
}

}  // namespace mpp::ranking

#else
#include "src/without_faiss.hpp"

namespace mpp::ranking {

Cells kmeans_cells(std::span<const float>, std::size_t, std::size_t, std::uint64_t) {
  throw_without_faiss("kmeans_cells");
}

}  // namespace mpp::ranking
#endif

#include <mpp/ranking/cells.hpp>

#include <mpp/core/error.hpp>

namespace mpp::ranking {

Cells single_cell(std::span<const float> rows, std::size_t dims) {
  expects<ShapeError>(dims > 0 && rows.size() % dims == 0, "single_cell: rows has ", rows.size(),
                      " values, expected a multiple of dims = ", dims);
  const std::size_t n = rows.size() / dims;
  std::vector<double> sum(dims, 0.0);  // a float sum would lose small rows behind large ones, or overflow
  for (std::size_t i = 0; i < n; ++i)
    for (std::size_t j = 0; j < dims; ++j) sum[j] += rows[i * dims + j];
  Cells cells{std::vector<float>(dims, 0.0F), std::vector<std::uint32_t>(n, 0)};
  if (n > 0)
    for (std::size_t j = 0; j < dims; ++j) cells.centers[j] = static_cast<float>(sum[j] / static_cast<double>(n));
  return cells;
}

}  // namespace mpp::ranking

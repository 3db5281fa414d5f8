#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include <mpp/kernels/quantize_nested.hpp>

#include "src/encode.hpp"
#include "src/nearest_float.hpp"
#include "src/rotation.hpp"

namespace mpp::ranking {
namespace {

constexpr std::size_t chunk_rows = 4096;
// Covers the rounding of the sums below: at most 2^15 terms of relative error 2^-53 each.
constexpr double outward = 1.0 + 0x1p-30;

double norm_of(std::span<const float> row) {
  double sum = 0.0;
  for (const float x : row) sum += static_cast<double>(x) * x;
  return std::sqrt(sum);
}

// The row as it is ranked: of unit length for cosine.
double unit_of(std::span<const float> row, Metric metric) {
  return metric == Metric::cosine ? 1.0 / norm_of(row) : 1.0;
}

struct Centered {
  double norm;      // ||x - c||
  double row_norm;  // ||x||
  double bias;      // -(c.(x - c) + ||x - c||^2 / 2)
};

// Writes x - c, padded with zeros, to `out` (at least as long as the row).
Centered center(std::span<const float> row, std::span<const float> c, Metric metric, std::span<double> out) {
  const double unit = unit_of(row, metric);
  double squares = 0.0;
  double products = 0.0;
  double row_squares = 0.0;
  for (std::size_t j = 0; j < row.size(); ++j) {
    const double x = row[j] * unit;
    out[j] = x - c[j];
    squares += out[j] * out[j];
    products += c[j] * out[j];
    row_squares += x * x;
  }
  std::fill(out.begin() + static_cast<std::ptrdiff_t>(row.size()), out.end(), 0.0);
  return {std::sqrt(squares), std::sqrt(row_squares), -(products + 0.5 * squares)};
}

std::span<const float> center_of(const PoolColumns& columns, std::uint32_t cell) {
  return columns.centers.view().subspan(std::size_t{cell} * columns.dims, columns.dims);
}

// One chunk of codes on its way from layout "rows" to the pool's columns.
struct Chunk {
  std::array<std::vector<std::uint8_t>, kernels::planes> codes;
  std::array<std::vector<kernels::PlaneFactors>, kernels::planes> factors;

  kernels::NestedCode resize(std::size_t rows, std::size_t dims) {
    kernels::NestedCode code;
    for (std::size_t p = 0; p < kernels::planes; ++p) {
      codes[p].resize(rows * kernels::plane_row_bytes(p, dims));
      factors[p].resize(rows);
      code.codes[p] = codes[p];
      code.factors[p] = factors[p];
    }
    return code;
  }

  void scatter(std::span<const std::uint32_t> slots, std::size_t dims, PoolColumns& columns) const {
    for (std::size_t p = 0; p < block_planes; ++p) scatter_blocks(slots, dims, p, columns.block_plane[p]);
    for (std::size_t p = block_planes; p < kernels::planes; ++p) {
      RowPlane& plane = columns.row_plane[p - block_planes];
      const std::size_t bytes = kernels::plane_row_bytes(p, dims);
      for (std::size_t i = 0; i < slots.size(); ++i) {
        std::copy_n(codes[p].data() + i * bytes, bytes, plane.codes.values().data() + slots[i] * bytes);
        plane.factors.values()[slots[i]] = factors[p][i];
      }
    }
  }

  void scatter_blocks(std::span<const std::uint32_t> slots, std::size_t dims, std::size_t p, BlockPlane& plane) const {
    auto& signs = plane.signs.values();
    const std::size_t groups = dims / 8;
    for (std::size_t i = 0; i < slots.size(); ++i) {
      const std::size_t slot = slots[i];
      plane.scale.values()[slot] = factors[p][i].scale;
      plane.residual.values()[slot] = factors[p][i].residual;
      if (p > 0) plane.norm.values()[slot] = factors[p][i].norm;
      for (std::size_t g = 0; g < groups; ++g)
        signs[(slot / kernels::block_rows * groups + g) * kernels::block_rows + slot % kernels::block_rows] =
            codes[p][i * groups + g];
    }
  }
};

}  // namespace

void check_rows(std::span<const float> rows, std::size_t dims, Metric metric, std::size_t first) {
  for (std::size_t i = 0; i < rows.size() / dims; ++i) {
    const auto row = rows.subspan(i * dims, dims);
    const bool finite = std::all_of(row.begin(), row.end(), [](float x) { return std::isfinite(x); });
    expects<ValueError>(finite, "Pool: row ", first + i, " holds NaN or infinity, expected finite values");
    if (metric == Metric::cosine)
      expects<ValueError>(norm_of(row) > 0.0, "Pool: row ", first + i, " has length 0, which has no cosine");
  }
}

std::vector<double> centered_norms(std::span<const float> rows, std::span<const std::uint32_t> cell,
                                   const PoolColumns& columns) {
  std::vector<double> z(columns.dims);
  std::vector<double> norms(cell.size());
  for (std::size_t i = 0; i < cell.size(); ++i) {
    const auto row = rows.subspan(i * columns.dims, columns.dims);
    norms[i] = center(row, center_of(columns, cell[i]), columns.metric, z).norm * outward;
  }
  return norms;
}

void encode_rows(std::span<const float> rows, const Placement& placement, float clip, const Progress& progress,
                 PoolColumns& columns) {
  const std::size_t dims = columns.dims;
  const std::size_t coded = columns.coded_dims;
  const std::size_t n = placement.slot.size();
  const double unit = std::ldexp(1.0, -columns.unit_exponent);
  std::vector<double> centered(std::min(n, chunk_rows) * coded);
  std::vector<double> rotated(centered.size());
  std::vector<float> y(centered.size());
  const BulkRotation rotate(columns.rotation.view(), coded, n);
  Chunk chunk;
  for (std::size_t first = 0; first < n; first += chunk_rows) {
    const std::size_t count = std::min(chunk_rows, n - first);
    for (std::size_t i = 0; i < count; ++i) {
      const auto row = rows.subspan((first + i) * dims, dims);
      const std::uint32_t slot = placement.slot[first + i];
      const auto z = std::span(centered).subspan(i * coded, coded);
      const Centered c = center(row, center_of(columns, placement.cell[first + i]), columns.metric, z);
      columns.largest_centered = std::max(columns.largest_centered, c.norm * outward);
      columns.largest_row = std::max(columns.largest_row, c.row_norm * outward);
      if (columns.metric == Metric::l2) {
        const double bias = c.bias * unit * unit;
        columns.bias.values()[slot] = nearest_float(bias);
        columns.largest_bias = std::max(columns.largest_bias, std::fabs(bias) * (1.0 + 0x1p-20));
      }
      std::copy(row.begin(), row.end(), columns.rows.values().begin() + static_cast<std::ptrdiff_t>(slot * dims));
    }
    const std::size_t values = count * coded;
    rotate(std::span<const double>(centered).first(values), unit, std::span(rotated).first(values));
    // A row that is added can be larger than the unit of the build allows for. What float cannot hold is far beyond Half
    // too, so the clamped row gets scale 0 and an infinite residual on every plane: it is never excluded.
    std::transform(rotated.begin(), rotated.begin() + static_cast<std::ptrdiff_t>(values), y.begin(), [](double v) {
      constexpr double largest = std::numeric_limits<float>::max();
      return static_cast<float>(std::clamp(v, -largest, largest));
    });
    kernels::quantize_nested({}, std::span<const float>(y).first(values), coded, 0, clip, chunk.resize(count, coded));
    chunk.scatter(placement.slot.subspan(first, count), coded, columns);
    if (progress) progress(first + count, n);
  }
}

}  // namespace mpp::ranking

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <vector>

#include <mpp/core/error.hpp>

#include "src/cpu/ops.hpp"

namespace mpp::kernels::cpu {
namespace {

constexpr float smallest_normal_half = 0x1p-14F;
// Covers the rounding of the double sums below (at most 2^15 terms, relative error < 2^-37) with room to spare.
constexpr double sum_slack = 1.0 + 0x1p-30;

// Odd integer that the first `b` slices of an 8-bit grid cell stand for: 2 (cell >> (8 - b)) + 1 - 2^b.
int odd_value(std::uint8_t cell, std::size_t b) { return 2 * (cell >> (slices - b)) + 1 - (1 << b); }

// Cells of the row on the 8-bit grid over [-limit, limit].
void to_cells(std::span<const float> row, double limit, std::span<std::uint8_t> cells) {
  for (std::size_t j = 0; j < row.size(); ++j) {
    const double position = limit == 0.0 ? 128.0 : (row[j] / limit + 1.0) * 128.0;
    cells[j] = static_cast<std::uint8_t>(std::clamp(position, 0.0, 255.0));
  }
}

PlaneFactors factors_of(std::span<const float> row, std::span<const std::uint8_t> cells, std::size_t b, double unit) {
  double yv = 0.0;
  double vv = 0.0;
  double yy = 0.0;
  for (std::size_t j = 0; j < row.size(); ++j) {
    const double v = odd_value(cells[j], b);
    yv += row[j] * v;
    vv += v * v;
    yy += static_cast<double>(row[j]) * row[j];
  }
  const Half norm = half_above(std::sqrt(vv) * sum_slack);
  if (yy == 0.0 && std::all_of(row.begin(), row.end(), [](float y) { return y == 0.0F; })) return {{}, {}, norm};

  const double least_squares = yv / vv;
  double rr = 0.0;
  for (std::size_t j = 0; j < row.size(); ++j) {
    const double r = row[j] - least_squares * odd_value(cells[j], b);
    rr += r * r;
  }
  const Half scale = nearest_half(least_squares * unit);
  const bool fits = to_float(scale) >= smallest_normal_half && std::isfinite(to_float(scale));
  // Below the normal range the scale would lose its relative precision: keep the row reachable instead.
  if (!fits) return {{}, half_above(std::numeric_limits<double>::infinity()), norm};
  return {scale, half_above(std::sqrt(rr) * unit * sum_slack), norm};
}

// Slice t of a cell is its bit 7 - t; bit j % 8 of byte j / 8 belongs to coordinate j.
void write_slices(std::span<const std::uint8_t> cells, std::size_t first, std::size_t count,
                  std::span<std::uint8_t> out) {
  const std::size_t bytes = cells.size() / 8;
  for (std::size_t s = 0; s < count; ++s)
    for (std::size_t g = 0; g < bytes; ++g) {
      unsigned packed = 0;
      for (std::size_t i = 0; i < 8; ++i) packed |= ((cells[8 * g + i] >> (slices - 1 - first - s)) & 1U) << i;
      out[s * bytes + g] = static_cast<std::uint8_t>(packed);
    }
}

}  // namespace

void quantize_nested(const Context&, std::span<const float> rows, std::size_t dims, int unit_exponent, float clip,
                     const NestedCode& out) {
  const double unit = std::ldexp(1.0, -unit_exponent);
  std::vector<std::uint8_t> cells(dims);
  for (std::size_t i = 0; i < rows.size() / dims; ++i) {
    const auto row = rows.subspan(i * dims, dims);
    double largest = 0.0;
    bool finite = true;
    for (const float y : row) {
      finite = finite && std::isfinite(y);
      largest = std::max(largest, static_cast<double>(std::fabs(y)));
    }
    expects<ValueError>(finite, "quantize_nested: row ", i, " holds NaN or infinity, expected finite values");
    to_cells(row, largest * clip, cells);
    for (std::size_t p = 0; p < planes; ++p) {
      out.factors[p][i] = factors_of(row, cells, plane_end[p], unit);
      const std::size_t bytes = plane_row_bytes(p, dims);
      write_slices(cells, plane_end[p] - plane_slices[p], plane_slices[p], out.codes[p].subspan(i * bytes, bytes));
    }
  }
}

void dequantize(const Context&, std::span<const std::span<const std::uint8_t>> codes,
                std::span<const PlaneFactors> factors, std::size_t plane, std::size_t dims, int unit_exponent,
                std::span<float> out) {
  const std::size_t slice_bytes = dims / 8;
  std::vector<int> odd(dims);
  for (std::size_t i = 0; i < factors.size(); ++i) {
    std::fill(odd.begin(), odd.end(), 0);
    for (std::size_t p = 0; p <= plane; ++p)
      for (std::size_t s = 0; s < plane_slices[p]; ++s) {
        const auto slice = codes[p].subspan(i * plane_row_bytes(p, dims) + s * slice_bytes, slice_bytes);
        for (std::size_t j = 0; j < dims; ++j) odd[j] = 2 * odd[j] + ((slice[j / 8] >> (j % 8)) & 1 ? 1 : -1);
      }
    const double scale = std::ldexp(static_cast<double>(to_float(factors[i].scale)), unit_exponent);
    for (std::size_t j = 0; j < dims; ++j) out[i * dims + j] = static_cast<float>(scale * odd[j]);
  }
}

void pack_blocks(const Context&, std::span<const std::uint8_t> codes, std::size_t dims,
                 std::span<std::uint8_t> blocks) {
  const std::size_t bytes = dims / 8;
  std::fill(blocks.begin(), blocks.end(), std::uint8_t{0});
  for (std::size_t i = 0; i < codes.size() / bytes; ++i)
    for (std::size_t g = 0; g < bytes; ++g)
      blocks[(i / block_rows * bytes + g) * block_rows + i % block_rows] = codes[i * bytes + g];
}

}  // namespace mpp::kernels::cpu

#pragma once
// What bench_screen works on, in the memory of a device: rows coded there by the library itself, and coded queries.
#include <array>
#include <vector>

#include <mpp/kernels/device_array.hpp>
#include <mpp/kernels/interval.hpp>
#include <mpp/kernels/quantize_nested.hpp>
#include <mpp/kernels/screen.hpp>

#include "kernels/score_frame.hpp"
#include "screen_rows.hpp"

namespace mpp::bench {

using kernels::Context;
using kernels::DeviceArray;
using kernels::Half;

inline constexpr std::size_t screened_planes = 2;

/// Room for the nested code of `n` rows.
struct DeviceCode {
  DeviceCode(const Context& context, std::size_t n, std::size_t dims) {
    for (std::size_t p = 0; p < kernels::planes; ++p) {
      codes[p] = DeviceArray<std::uint8_t>(context, n * kernels::plane_row_bytes(p, dims));
      factors[p] = DeviceArray<kernels::PlaneFactors>(context, n);
      out.codes[p] = codes[p].span();
      out.factors[p] = factors[p].span();
    }
  }
  std::array<DeviceArray<std::uint8_t>, kernels::planes> codes;
  std::array<DeviceArray<kernels::PlaneFactors>, kernels::planes> factors;
  kernels::NestedCode out;
};

/// The coded parts of `count` rows from `first` on.
inline std::vector<float> coded_parts(const SeededRows& seeded, std::size_t first, std::size_t count) {
  std::vector<float> parts(count * seeded.dims());
  for (std::size_t i = 0; i < count; ++i)
    for (std::size_t j = 0; j < seeded.dims(); ++j) parts[i * seeded.dims() + j] = seeded.coded(first + i, j);
  return parts;
}

/// Planes 0 and 1 of all rows.
class CodedRows {
 public:
  struct Plane {
    DeviceArray<std::uint8_t> signs;  // layout "blocks"
    DeviceArray<Half> scale, residual, norm;
    DeviceArray<float> top_scale, top_residual;
  };

  CodedRows(const Context& context, const SeededRows& seeded)
      : same_norm_(kernels::float_above(std::sqrt(static_cast<double>(seeded.dims())) * (1.0 + 0x1p-50))) {
    const std::size_t n = seeded.rows();
    std::array<Columns, screened_planes> columns;
    for (std::size_t p = 0; p < screened_planes; ++p) {
      plane[p].signs = DeviceArray<std::uint8_t>(context, kernels::blocked_bytes(n, seeded.dims()));
      columns[p].resize(n);
    }
    constexpr std::size_t chunk = 1024 * block_rows;
    for (std::size_t first = 0; first < n; first += chunk)
      add(context, seeded, first, std::min(chunk, n - first), columns);
    for (std::size_t p = 0; p < screened_planes; ++p) {
      plane[p].scale = DeviceArray<Half>(context, columns[p].scale);
      plane[p].residual = DeviceArray<Half>(context, columns[p].residual);
      plane[p].norm = DeviceArray<Half>(context, columns[p].norm);
      plane[p].top_scale = DeviceArray<float>(context, columns[p].top_scale);
      plane[p].top_residual = DeviceArray<float>(context, columns[p].top_residual);
    }
  }

  kernels::BlockRows block_rows_of(std::size_t p, std::span<const float> block_offset,
                                   std::span<const std::uint64_t> allowed) const {
    const Plane& of = plane[p];
    kernels::FactorColumns factors{of.scale.span(), of.residual.span(), same_norm_, of.norm.span()};
    if (p == 0) factors.norm = {};  // all codes of one slice have the same
    return {factors, block_offset, {}, allowed, of.top_scale.span(), of.top_residual.span()};
  }

  std::array<Plane, screened_planes> plane;

 private:
  struct Columns {
    std::vector<Half> scale, residual, norm;
    std::vector<float> top_scale, top_residual;
    void resize(std::size_t n) {
      scale.resize(n);
      residual.resize(n);
      norm.resize(n);
      top_scale.resize(n / block_rows, 0.0F);
      top_residual.resize(n / block_rows, 0.0F);
    }
  };

  void add(const Context& context, const SeededRows& seeded, std::size_t first, std::size_t count,
           std::array<Columns, screened_planes>& columns) {
    const std::size_t dims = seeded.dims();
    const DeviceArray<float> parts(context, coded_parts(seeded, first, count));
    const DeviceCode code(context, count, dims);
    kernels::quantize_nested(context, parts.span(), dims, 0, 1.0F, code.out);
    for (std::size_t p = 0; p < screened_planes; ++p) {
      kernels::pack_blocks(context, code.codes[p].span(), dims,
                           plane[p].signs.span().subspan(first * dims / 8, count * dims / 8));
      const auto factors = code.factors[p].to_host();
      for (std::size_t i = 0; i < count; ++i) {
        columns[p].scale[first + i] = factors[i].scale;
        columns[p].residual[first + i] = factors[i].residual;
        columns[p].norm[first + i] = factors[i].norm;
        const auto raise = [&](std::vector<float>& tops, Half factor) {
          float& top = tops[(first + i) / block_rows];
          top = std::max(top, kernels::to_float(factor));
        };
        raise(columns[p].top_scale, factors[i].scale);
        raise(columns[p].top_residual, factors[i].residual);
      }
    }
  }

  float same_norm_;
};

/// A query, coded, and the memory in which its dot products and open rows are kept.
struct CodedQuery {
  CodedQuery(const Context& context, const SeededRows& seeded, std::size_t number)
      : values(seeded.query(number)), dots(context, seeded.rows()), open(context, seeded.rows() / block_rows) {
    const std::vector<double> exact(values.begin(), values.end());
    std::vector<double> of_centre(seeded.centres(), 0.0);
    for (std::size_t c = 0; c < of_centre.size(); ++c)
      for (std::size_t j = 0; j < seeded.dims(); ++j) of_centre[c] += exact[j] * double{seeded.centre(c, j)};
    std::vector<float> offsets(seeded.rows() / block_rows);
    double largest = 0.0;
    for (std::size_t b = 0; b < offsets.size(); ++b) {
      offsets[b] = static_cast<float>(of_centre[seeded.centre_of_block(b)]);
      largest = std::max(largest, std::fabs(double{offsets[b]}));
    }
    block_offset = DeviceArray<float>(context, offsets);
    for (std::size_t p = 0; p < screened_planes; ++p) {
      const kernels::CodedQuery coded = kernels::code_query(exact, kernels::coarse_grid, p, largest);
      frame[p] = coded.frame;
      code = coded.code;  // the same for every plane
    }
    std::vector<std::uint8_t> look_up(kernels::screen_table_bytes(seeded.dims()));
    kernels::make_screen_table(code, look_up);
    table = DeviceArray<std::uint8_t>(context, look_up);
  }

  std::vector<float> values;
  std::vector<std::int16_t> code;
  std::array<kernels::ScoreFrame, screened_planes> frame;
  DeviceArray<float> block_offset;
  DeviceArray<std::uint8_t> table;
  DeviceArray<std::int16_t> dots;
  DeviceArray<std::uint64_t> open;
};

}  // namespace mpp::bench

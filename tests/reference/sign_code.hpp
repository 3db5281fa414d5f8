#pragma once
#include <cmath>
#include <span>
#include <string>
#include <vector>

#include <mpp/core/error.hpp>
#include <mpp/kernels/sign_code.hpp>

#include "reference/quad.hpp"

namespace mpp::reference {

using kernels::PlaneFactors;

/// Sign of coordinate j in slice `s` of row `row` of a plane in layout "rows" with `slice_count` slices.
inline int sign_at(std::span<const std::uint8_t> codes, std::size_t row, std::size_t slice_count, std::size_t s,
                   std::size_t dims, std::size_t j) {
  return (codes[(row * slice_count + s) * dims / 8 + j / 8] >> (j % 8) & 1) != 0 ? 1 : -1;
}

/// The odd integers v that planes 0 ... plane of one row stand for: sum_t 2^(b-1-t) s_t.
template <class Codes>
std::vector<int> code_values(const Codes& codes, std::size_t row, std::size_t plane, std::size_t dims) {
  std::vector<int> v(dims, 0);
  for (std::size_t p = 0; p <= plane; ++p)
    for (std::size_t s = 0; s < kernels::plane_slices[p]; ++s)
      for (std::size_t j = 0; j < dims; ++j)
        v[j] = 2 * v[j] + sign_at(codes[p], row, kernels::plane_slices[p], s, dims, j);
  return v;
}

/// Empty when the factors keep the promise of PlaneFactors for the row y and its code v, otherwise what they break.
/// Both sides are multiplied by <v, v>, so that the least-squares scale needs no division.
inline std::string broken_promise(std::span<const float> y, std::span<const int> v, PlaneFactors factors,
                                  int unit_exponent) {
  Quad yv = 0, vv = 0;
  bool zero = true;
  for (std::size_t j = 0; j < y.size(); ++j) {
    yv += Quad{y[j]} * v[j];
    vv += Quad{1} * v[j] * v[j];
    zero = zero && y[j] == 0.0F;
  }
  const double scale = half_value(factors.scale), residual = half_value(factors.residual);
  const double norm = half_value(factors.norm);
  if (!(Quad{norm} * norm >= vv)) return text("norm ", norm, " is below ||v||");
  if (zero) return scale == 0.0 && residual == 0.0 ? "" : text("zero row with scale ", scale, ", residual ", residual);
  if (scale == 0.0) return residual == HUGE_VAL ? "" : text("scale 0 with residual ", residual);

  const Quad unit = std::ldexp(1.0, unit_exponent);
  const Quad off = yv - Quad{scale} * unit * vv;
  const Quad allowed = Quad{std::ldexp(scale, -11)} * unit * vv;
  if (!(off <= allowed && -off <= allowed)) return text("scale ", scale, " is off by more than 2^-11 of itself");
  if (residual == HUGE_VAL) return "";
  Quad squares = 0;
  for (std::size_t j = 0; j < y.size(); ++j) {
    const Quad r = vv * y[j] - yv * v[j];
    squares += r * r;
  }
  const Quad limit = Quad{residual} * unit * vv;
  return squares <= limit * limit ? "" : text("residual ", residual, " is below ||y - a v||");
}

/// scale v 2^unit_exponent, rounded to float once.
inline std::vector<float> dequantize(std::span<const int> v, PlaneFactors factors, int unit_exponent) {
  std::vector<float> out(v.size());
  for (std::size_t j = 0; j < v.size(); ++j)
    out[j] = static_cast<float>(std::ldexp(half_value(factors.scale) * v[j], unit_exponent));
  return out;
}

/// Layout "rows" of a one-slice plane to layout "blocks", byte by byte from the definition.
inline std::vector<std::uint8_t> pack_blocks(std::span<const std::uint8_t> codes, std::size_t dims) {
  const std::size_t bytes = dims / 8, n = codes.size() / bytes;
  std::vector<std::uint8_t> blocks;
  for (std::size_t b = 0; b < kernels::blocks_of(n); ++b)
    for (std::size_t g = 0; g < bytes; ++g)
      for (std::size_t i = b * 64; i < (b + 1) * 64; ++i) blocks.push_back(i < n ? codes[i * bytes + g] : 0);
  return blocks;
}

}  // namespace mpp::reference

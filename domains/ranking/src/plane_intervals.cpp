#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

#include "src/plane_intervals.hpp"

namespace mpp::ranking {
namespace {

constexpr std::size_t chunk = 512;

float sign_norm(const PoolColumns& c) {
  return std::nextafter(std::sqrt(static_cast<float>(c.coded_dims)), std::numeric_limits<float>::infinity());
}

// Factors of the listed rows, side by side. The rows lie far apart: their lines are asked for some rows ahead.
void gather_factors(const PoolColumns& c, std::size_t plane, std::span<const std::uint32_t> slots, std::size_t n,
                    std::array<kernels::PlaneFactors, chunk>& factors) {
  constexpr std::size_t ahead = 24;
  if (plane < block_planes) {
    const BlockPlane& from = c.block_plane[plane];
    const kernels::Half same_norm = kernels::half_above(sign_norm(c));
    for (std::size_t i = 0; i < n; ++i) {
      const std::size_t slot = slots[i];
      const std::size_t later = slots[std::min(i + ahead, slots.size() - 1)];
      __builtin_prefetch(from.scale.view().data() + later);
      __builtin_prefetch(from.residual.view().data() + later);
      if (plane > 0) __builtin_prefetch(from.norm.view().data() + later);
      factors[i] = {from.scale[slot], from.residual[slot], plane == 0 ? same_norm : from.norm[slot]};
    }
    return;
  }
  const auto from = c.row_plane[plane - block_planes].factors.view();
  for (std::size_t i = 0; i < n; ++i) {
    __builtin_prefetch(&from[slots[std::min(i + ahead, slots.size() - 1)]]);
    factors[i] = from[slots[i]];
  }
}

}  // namespace

kernels::BlockRows block_rows_of(const PoolColumns& columns, const QueryFrame& frame, std::size_t plane,
                                 std::span<const std::uint64_t> open) {
  const BlockPlane& from = columns.block_plane[plane];
  return {.factors = {.scale = from.scale.view(),
                      .residual = from.residual.view(),
                      .same_norm = plane == 0 ? sign_norm(columns) : 0.0F,
                      .norm = from.norm.view()},
          .block_offset = frame.block_offset,
          .bias = columns.bias.view(),
          .allowed = open,
          .top_scale = from.top_scale.view(),
          .top_residual = from.top_residual.view()};
}

// Factors and offsets pass through a small buffer: they are read once.
void tighten(const PoolColumns& columns, const QueryFrame& frame, std::size_t plane,
             std::span<const std::uint32_t> slots, std::span<const std::int32_t> dots,
             std::span<kernels::ScoreInterval> intervals) {
  const kernels::ScoreFrame constants = plane_frame(frame, plane);
  const auto bias = columns.bias.view();
  std::array<kernels::PlaneFactors, chunk> factors;
  std::array<float, chunk> base;
  for (std::size_t first = 0; first < slots.size(); first += chunk) {
    const auto rest = slots.subspan(first);
    const std::size_t n = std::min(chunk, rest.size());
    gather_factors(columns, plane, rest, n, factors);
    for (std::size_t i = 0; i < n; ++i) {
      const float offset = frame.block_offset[rest[i] / kernels::block_rows];
      base[i] = bias.empty() ? offset : offset + bias[rest[i]];
    }
    kernels::tighten_intervals({}, dots.subspan(first, n), std::span(factors).first(n), std::span(base).first(n),
                               constants, intervals.subspan(first, n));
  }
}

}  // namespace mpp::ranking

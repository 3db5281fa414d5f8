// One warp owns one row and reads it three times (the second and third time from cache): for its largest magnitude,
// for the codes and the sums of the least-squares scales, and for the residuals. A lane takes 8 coordinates at a time,
// 32 bytes, so the loads of a warp are contiguous and each lane makes whole bytes of every slice, which are written
// side by side. Sums run in double over lanes and then over a fixed tree of shuffles.
#include <cmath>

#include "ops.hpp"
#include "scratch.cuh"
#include "signs.cuh"

namespace mpp::kernels::cuda {
namespace {

constexpr unsigned warp = 32;
constexpr unsigned rows_per_block = 4;
// Double sums of at most 2^15 terms err by less than 2^-37 of themselves.
constexpr double sum_slack = 1.0 + 0x1p-30;

struct Output {
  std::uint8_t* codes[planes];
  PlaneFactors* factors[planes];
};

template <class T, class Combine>
__device__ T over_warp(T value, Combine combine) {
  for (unsigned step = warp / 2; step > 0; step /= 2) value = combine(value, __shfl_xor_sync(~0U, value, step));
  return value;
}
__device__ double warp_sum(double value) {
  return over_warp(value, [](double a, double b) { return a + b; });
}

struct Octet {
  float y[8];
};
__device__ Octet load_octet(const float* row, std::size_t g) {
  const auto* at = reinterpret_cast<const float4*>(row) + 2 * g;
  const float4 a = at[0], b = at[1];
  return {{a.x, a.y, a.z, a.w, b.x, b.y, b.z, b.w}};
}

// Cell of y on the 8-bit grid over [-limit, limit]. Slice t of the code is bit 7 - t of the cell.
__device__ int cell_of(float y, double limit) {
  const double position = limit == 0.0 ? 128.0 : (y / limit + 1.0) * 128.0;
  return static_cast<int>(fmin(fmax(position, 0.0), 255.0));
}
// What the first `count` slices stand for.
__device__ int odd_value(int cell, std::size_t count) { return 2 * (cell >> (slices - count)) + 1 - (1 << count); }

// Residual and scale of one plane, rounded as PlaneFactors promises. A scale below the normal range would lose its
// relative precision: such a row gets an infinite residual and stays reachable.
__device__ PlaneFactors round_outward(double scale, double squared_residual, double squared_norm, bool zero_row,
                                      double unit) {
  const Half norm = device_half_above(sqrt(squared_norm) * sum_slack);
  if (zero_row) return {{}, {}, norm};
  const Half stored = device_nearest_half(scale * unit);
  const float as_float = device_float(stored);
  if (!(as_float >= 0x1p-14F && as_float <= 65504.0F)) return {{}, {0x7C00}, norm};
  return {stored, device_half_above(sqrt(squared_residual) * unit * sum_slack), norm};
}

__global__ void quantize_kernel(const float* rows, std::size_t n, std::size_t dims, double unit, double clip,
                                Output out, unsigned long long* first_bad_row) {
  const std::size_t i = std::size_t{blockIdx.x} * rows_per_block + threadIdx.y;
  if (i >= n) return;  // the whole warp leaves
  const float* row = rows + i * dims;
  const std::size_t bytes = dims / 8;

  float largest = 0.0F;
  bool finite = true;
  for (std::size_t g = threadIdx.x; g < bytes; g += warp)
    for (const float y : load_octet(row, g).y) {
      finite = finite && isfinite(y);
      largest = fmaxf(largest, fabsf(y));
    }
  if (!__all_sync(~0U, finite)) {
    if (threadIdx.x == 0) atomicMin(first_bad_row, static_cast<unsigned long long>(i));
    return;
  }
  largest = over_warp(largest, [](float a, float b) { return fmaxf(a, b); });
  const double limit = largest * clip;

  double yv[planes] = {}, vv[planes] = {};
  for (std::size_t g = threadIdx.x; g < bytes; g += warp) {
    const Octet octet = load_octet(row, g);
    unsigned packed[slices] = {};
#pragma unroll
    for (unsigned j = 0; j < 8; ++j) {
      const int cell = cell_of(octet.y[j], limit);
#pragma unroll
      for (std::size_t t = 0; t < slices; ++t) packed[t] |= ((cell >> (slices - 1 - t)) & 1U) << j;
#pragma unroll
      for (std::size_t p = 0; p < planes; ++p) {
        const double v = odd_value(cell, end_of(p));
        yv[p] += octet.y[j] * v;
        vv[p] += v * v;
      }
    }
#pragma unroll
    for (std::size_t p = 0; p < planes; ++p)
#pragma unroll
      for (std::size_t s = 0; s < slices_of(p); ++s)
        out.codes[p][(i * slices_of(p) + s) * bytes + g] =
            static_cast<std::uint8_t>(packed[end_of(p) - slices_of(p) + s]);
  }
  double scale[planes];
#pragma unroll
  for (std::size_t p = 0; p < planes; ++p) {
    vv[p] = warp_sum(vv[p]);
    scale[p] = warp_sum(yv[p]) / vv[p];
  }

  double rr[planes] = {};
  for (std::size_t g = threadIdx.x; g < bytes; g += warp)
    for (const float y : load_octet(row, g).y) {
      const int cell = cell_of(y, limit);
#pragma unroll
      for (std::size_t p = 0; p < planes; ++p) {
        const double r = y - scale[p] * odd_value(cell, end_of(p));
        rr[p] += r * r;
      }
    }
#pragma unroll
  for (std::size_t p = 0; p < planes; ++p) {
    const double squared = warp_sum(rr[p]);
    if (threadIdx.x == 0) out.factors[p][i] = round_outward(scale[p], squared, vv[p], largest == 0.0F, unit);
  }
}

}  // namespace

void quantize_nested(const Context& context, std::span<const float> rows, std::size_t dims, int unit_exponent,
                     float clip, const NestedCode& out) {
  constexpr const char* operation = "quantize_nested";
  const std::size_t n = rows.size() / dims;
  if (n == 0) return;
  expects_aligned(rows.data(), sizeof(float4), "quantize_nested", "rows");
  Output output{};
  for (std::size_t p = 0; p < planes; ++p) output.codes[p] = out.codes[p].data();
  for (std::size_t p = 0; p < planes; ++p) output.factors[p] = out.factors[p].data();
  constexpr auto none = ~0ULL;
  const DeviceValue<unsigned long long> first_bad_row(context, operation, 0xFF);
  quantize_kernel<<<grid_of(n, rows_per_block, operation), dim3(warp, rows_per_block), 0, stream_of(context)>>>(
      rows.data(), n, dims, std::ldexp(1.0, -unit_exponent), static_cast<double>(clip), output, first_bad_row.get());
  check_launch(operation);
  const auto bad = first_bad_row.read();
  expects<ValueError>(bad == none, operation, ": row ", bad, " holds NaN or infinity, expected finite values");
}

}  // namespace mpp::kernels::cuda

// One thread owns 8 coordinates of one row: it reads one byte of every slice and writes 32 contiguous bytes.
// Neighbouring threads own neighbouring octets, so bytes are read and floats written side by side.
#include <cmath>

#include "check.cuh"
#include "ops.hpp"
#include "signs.cuh"

namespace mpp::kernels::cuda {
namespace {

constexpr unsigned block_width = 256;

struct Codes {
  const std::uint8_t* plane[planes];
};

__global__ void dequantize_kernel(Codes codes, const PlaneFactors* factors, std::size_t plane, std::size_t octets,
                                  std::size_t bytes, double unit, float4* out) {
  const std::size_t at = std::size_t{blockIdx.x} * block_width + threadIdx.x;
  if (at >= octets) return;
  const std::size_t row = at / bytes, g = at % bytes;
  int odd[8] = {};
#pragma unroll
  for (std::size_t p = 0; p < planes; ++p) {
    if (p > plane) break;
    for (std::size_t s = 0; s < slices_of(p); ++s) {
      const unsigned bits = codes.plane[p][(row * slices_of(p) + s) * bytes + g];
#pragma unroll
      for (unsigned j = 0; j < 8; ++j) odd[j] = 2 * odd[j] + ((bits >> j) & 1U ? 1 : -1);
    }
  }
  // 11 bits of scale times 8 bits of code is exact; only the conversion to float rounds.
  const double scale = static_cast<double>(device_float(factors[row].scale)) * unit;
  float y[8];
#pragma unroll
  for (unsigned j = 0; j < 8; ++j) y[j] = static_cast<float>(scale * odd[j]);
  out[2 * at] = {y[0], y[1], y[2], y[3]};
  out[2 * at + 1] = {y[4], y[5], y[6], y[7]};
}

}  // namespace

void dequantize(const Context& context, std::span<const std::span<const std::uint8_t>> codes,
                std::span<const PlaneFactors> factors, std::size_t plane, std::size_t dims, int unit_exponent,
                std::span<float> out) {
  constexpr const char* operation = "dequantize";
  const std::size_t bytes = dims / 8;
  const std::size_t octets = factors.size() * bytes;
  if (octets == 0) return;
  expects_aligned(out.data(), sizeof(float4), "dequantize", "out");
  Codes device_codes{};
  for (std::size_t p = 0; p <= plane; ++p) device_codes.plane[p] = codes[p].data();
  dequantize_kernel<<<grid_of(octets, block_width, operation), block_width, 0, stream_of(context)>>>(
      device_codes, factors.data(), plane, octets, bytes, std::ldexp(1.0, unit_exponent),
      reinterpret_cast<float4*>(out.data()));
  check_launch(operation);
  finish(context, operation);
}

}  // namespace mpp::kernels::cuda

#include <cmath>

#include <mpp/kernels/quantize_nested.hpp>

#include "src/dispatch.hpp"

namespace mpp::kernels {
namespace {

constexpr std::size_t max_dims = 32768;  // norms of codes stay below the largest Half

void expects_dims(const char* op, std::size_t dims) {
  expects<ShapeError>(dims > 0 && dims % 8 == 0 && dims <= max_dims, op, ": dims is ", dims,
                      ", expected a multiple of 8 in [8, ", max_dims, "]");
}

}  // namespace

void quantize_nested(const Context& context, std::span<const float> rows, std::size_t dims, int unit_exponent,
                     float clip, const NestedCode& out) {
  expects_dims("quantize_nested", dims);
  expects<ShapeError>(rows.size() % dims == 0, "quantize_nested: rows has ", rows.size(),
                      " values, expected a multiple of dims = ", dims);
  expects<ValueError>(clip > 0.0F && clip <= 1.0F, "quantize_nested: clip is ", clip, ", expected in (0, 1]");
  const std::size_t n = rows.size() / dims;
  for (std::size_t p = 0; p < planes; ++p) {
    expects<ShapeError>(out.codes[p].size() == n * plane_row_bytes(p, dims), "quantize_nested: codes[", p, "] has ",
                        out.codes[p].size(), " bytes, expected ", n * plane_row_bytes(p, dims));
    expects<ShapeError>(out.factors[p].size() == n, "quantize_nested: factors[", p, "] has ", out.factors[p].size(),
                        " rows, expected ", n);
  }
  dispatch(
      context, [&] { cpu::quantize_nested(context, rows, dims, unit_exponent, clip, out); },
      [&] { cuda::quantize_nested(context, rows, dims, unit_exponent, clip, out); });
}

void dequantize(const Context& context, std::span<const std::span<const std::uint8_t>> codes,
                std::span<const PlaneFactors> factors, std::size_t plane, std::size_t dims, int unit_exponent,
                std::span<float> out) {
  expects_dims("dequantize", dims);
  expects<ShapeError>(plane < planes, "dequantize: plane is ", plane, ", expected below ", planes);
  expects<ShapeError>(codes.size() == plane + 1, "dequantize: codes has ", codes.size(), " planes, expected ",
                      plane + 1);
  expects<ShapeError>(out.size() == factors.size() * dims, "dequantize: out has ", out.size(), " values, expected ",
                      factors.size() * dims);
  for (std::size_t p = 0; p <= plane; ++p)
    expects<ShapeError>(codes[p].size() == factors.size() * plane_row_bytes(p, dims), "dequantize: codes[", p, "] has ",
                        codes[p].size(), " bytes, expected ", factors.size() * plane_row_bytes(p, dims));
  dispatch(
      context, [&] { cpu::dequantize(context, codes, factors, plane, dims, unit_exponent, out); },
      [&] { cuda::dequantize(context, codes, factors, plane, dims, unit_exponent, out); });
}

void pack_blocks(const Context& context, std::span<const std::uint8_t> codes, std::size_t dims,
                 std::span<std::uint8_t> blocks) {
  expects_dims("pack_blocks", dims);
  expects<ShapeError>(codes.size() % (dims / 8) == 0, "pack_blocks: codes has ", codes.size(),
                      " bytes, expected a multiple of dims / 8 = ", dims / 8);
  const std::size_t n = codes.size() / (dims / 8);
  expects<ShapeError>(blocks.size() == blocked_bytes(n, dims), "pack_blocks: blocks has ", blocks.size(),
                      " bytes, expected ", blocked_bytes(n, dims));
  dispatch(
      context, [&] { cpu::pack_blocks(context, codes, dims, blocks); },
      [&] { cuda::pack_blocks(context, codes, dims, blocks); });
}

}  // namespace mpp::kernels

#pragma once
#include <array>
#include <cstdint>
#include <span>

#include <mpp/kernels/context.hpp>
#include <mpp/kernels/sign_code.hpp>

namespace mpp::kernels {

/// Where the code of a batch of rows goes. Sizes: codes[p] is rows * plane_row_bytes(p, dims), layout "rows";
/// factors[p] is rows.
struct NestedCode {
  std::array<std::span<std::uint8_t>, planes> codes;
  std::array<std::span<PlaneFactors>, planes> factors;
};

/// Codes rows into nested sign slices with outward-rounded factors (see PlaneFactors for what they guarantee).
///
/// The 8-bit grid of a row spans +-clip * max|y_j|; values outside fall on its ends, which costs width, never
/// soundness, because the residual is measured. Factors are in units of 2^unit_exponent: pass the exponent of the
/// largest row norm, so that Half covers 2^-14 ... 2^15 around it.
///
/// @param rows           [n, dims], finite
/// @param dims           multiple of 8, at most 32768
/// @param unit_exponent  factors are multiplied by 2^-unit_exponent before rounding
/// @param clip           in (0, 1]
/// @throws ShapeError, ValueError (a row that is not finite is named by its number)
void quantize_nested(const Context& context, std::span<const float> rows, std::size_t dims, int unit_exponent,
                     float clip, const NestedCode& out);

/// Writes scale_b * v_b * 2^unit_exponent of every row after `plane`: what the code stands for.
///
/// @param codes   planes 0 ... plane, layout "rows"
/// @param factors [n] of that plane
/// @param out     [n, dims]
void dequantize(const Context& context, std::span<const std::span<const std::uint8_t>> codes,
                std::span<const PlaneFactors> factors, std::size_t plane, std::size_t dims, int unit_exponent,
                std::span<float> out);

/// Rearranges rows of one-slice codes from layout "rows" to layout "blocks".
/// @param codes  [n, dims / 8]    @param blocks  blocked_bytes(n, dims)
void pack_blocks(const Context& context, std::span<const std::uint8_t> codes, std::size_t dims,
                 std::span<std::uint8_t> blocks);

}  // namespace mpp::kernels

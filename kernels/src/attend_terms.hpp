#pragma once
#include <cmath>
#include <cstddef>

#include <mpp/kernels/attend_paged.hpp>

#include "src/stored_page.hpp"

// What the back ends of attend_paged() share: which pages they take, and what their arithmetic is worth.
namespace mpp::kernels {

/// |Q| of a query rounded to integers: 256 of them times 255 fit 32 bits, and each splits into two signed bytes.
inline constexpr float query_code_end = 32639.0F;
/// A weight of 1 rounded to an integer.
inline constexpr float weight_code_end = 32767.0F;
/// Weights below e^-87 become e^-87: normal numbers on every device.
inline constexpr float least_exponent = -87.0F;
/// |q' - u Q| per channel in units of u: half, and 5 roundings of a number of up to 32639 units.
inline constexpr float query_code_error = 0.52F;
/// Relative: radii are sums and roots of up to 256 terms in float.
inline constexpr float radius_slack = 1.0F + 0x1p-16F;

/// Error of a logit in float arithmetic for |scale q| |key_reach| = 1. At most head_dim / 4 additions in a row, and 8 to
/// merge the rows; every number in them is a product of at most 3 roundings; sums of magnitudes are below 2 (the query times
/// |zero| + 128 step, twice for what cancels).
constexpr float arithmetic_error(std::size_t head_dim) noexcept {
  return (static_cast<float>(head_dim) / 4.0F + 32.0F) * 0x1p-24F;
}
/// A folded query without a larger coordinate is rounded to 0: the reciprocal of its unit would be infinite.
inline constexpr float least_query_end = 0x1p-100F;
/// What is lost absolutely: to underflow, or to the line above, 256 coordinates times 128 steps.
inline constexpr float arithmetic_floor = 0x1p-80F;
/// Root of the sum over the tokens of a page of 1: what each token may be off adds up to this, all tokens together.
inline constexpr float page_root = 8.0F;
static_assert(page_root * page_root == static_cast<float>(page_tokens));

enum class PageFault : int { none = 0, malformed = 1, stale = 2 };

/// Whether a level is read from planes.
constexpr bool is_coded(PageLevel level) noexcept { return level > PageLevel::omitted && level < PageLevel::exact; }

/// Whether a page may be read. The metadata must be there: a device that finds it null says `malformed`.
constexpr PageFault check_levels(const KvPage& page) noexcept {
  const PageLevel key = page.key_level;
  const PageLevel value = page.value_level;
  bool fine = page.metadata != nullptr && page.tokens >= 1 && page.tokens <= page_tokens && key <= PageLevel::exact &&
              value <= PageLevel::exact && (key == PageLevel::omitted) == (value == PageLevel::omitted) &&
              value != PageLevel::bits12;
  fine = fine && (page.tokens == page_tokens || (!is_coded(key) && !is_coded(value)));
  for (int plane = 0; plane < 3; ++plane)
    fine = fine && (!is_coded(key) || static_cast<int>(key) <= plane || page.key_planes[plane] != nullptr);
  for (int plane = 0; plane < 2; ++plane)
    fine = fine && (!is_coded(value) || static_cast<int>(value) <= plane || page.value_planes[plane] != nullptr);
  fine = fine && (key != PageLevel::exact || page.exact_keys != nullptr);
  fine = fine && (value != PageLevel::exact || page.exact_values != nullptr);
  return fine ? PageFault::none : PageFault::malformed;
}

/// Whether the memory of a page, whose levels are fine, is what its reader expects. A page that was only summarised has no
/// codes: their norm is 0 then, and so is what values are off by, neither of which codes ever have.
constexpr PageFault check_summary(const KvPage& page, const PageSummary& summary) noexcept {
  if (summary.generation != page.generation) return PageFault::stale;
  const bool fine = page.tokens <= summary.tokens && (!is_coded(page.key_level) || summary.code_norm > 0.0F) &&
                    (!is_coded(page.value_level) || summary.value_residual[0] > 0.0F);
  return fine ? PageFault::none : PageFault::malformed;
}

/// @throws ShapeError, ValueError, naming operation and field
inline void check_shape(const char* operation, const AttendShape& shape) {
  check_head_dim(operation, shape.head_dim);
  expects<ShapeError>(shape.group >= 1 && shape.group <= max_group, operation, ": group is ", shape.group,
                      ", expected 1 to ", max_group);
  expects<ValueError>(std::isfinite(shape.scale) && shape.scale > 0.0F, operation, ": scale is ", shape.scale,
                      ", expected a positive number");
}

}  // namespace mpp::kernels

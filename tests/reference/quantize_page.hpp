#pragma once
#include <algorithm>
#include <limits>

#include "reference/kv_page.hpp"
#include "reference/spectral_norm.hpp"

// The naive quantizer: every code by comparison of exact numbers, every norm in quadruple precision. It can be told to make
// the mistakes that a fast one would make.
namespace mpp::reference {

enum class QuantizerFault {
  none,
  zero_to_nearest,        ///< instead of down
  step_to_nearest,        ///< instead of up
  step_without_floor,     ///< a channel of one value gets step 0
  code_to_nearest,        ///< round((k - zero) / step) in place of floor, with the centres of floor
  residual_rounded_down,  ///< to float
  residual_from_float,    ///< differences and sums in float
  residual_truncated,     ///< to the 8 bits of a bfloat16
  norm_rounded_down,
  value_residual_rounded_down,
  reach_without_codes,   ///< |v| alone, though v~ may be longer
  key_spread_truncated,  ///< the norm, rounded down to float
  value_spread_truncated,
  spread_without_proof,  ///< what a power iteration finds, the root of a quotient that is at most the eigenvalue
};

/// Largest Half <= value, within the range of Half.
inline Half half_below(double value) {
  const Half above = kernels::half_above(-value);
  return {static_cast<std::uint16_t>(half_value(above) == 0.0 ? 0 : above.bits ^ 0x8000)};
}

/// Smallest positive Half with zero + 256 step >= highest; both sides are exact in double.
inline Half covering_step(double highest, double zero) {
  std::uint16_t low = 1, high = 0x7BFF;
  while (low < high) {
    const auto middle = static_cast<std::uint16_t>((low + high) / 2);
    if (zero + 256.0 * half_value({middle}) >= highest)
      high = middle;
    else
      low = static_cast<std::uint16_t>(middle + 1);
  }
  return {low};
}

/// Largest code of 12 bits whose cell starts at or below the number: zero + code step / 16 <= number, exact in double.
inline int code12_of(double number, double zero, double step) {
  int low = 0, high = 4095;
  while (low < high) {
    const int middle = (low + high + 1) / 2;
    if (zero + middle * step / 16.0 <= number)
      low = middle;
    else
      high = middle - 1;
  }
  return low;
}

/// The smallest float >= sqrt(square), or the next one.
inline float root_above(Quad square) {
  auto root = static_cast<float>(std::sqrt(static_cast<double>(square)));
  while (Quad{root} * root < square) root = std::nextafter(root, std::numeric_limits<float>::infinity());
  return root;
}
inline float root_below(Quad square) {
  auto root = static_cast<float>(std::sqrt(static_cast<double>(square)));
  while (Quad{root} * root > square) root = std::nextafter(root, 0.0F);
  return root;
}

inline float truncated(float value) {
  std::uint32_t bits = 0;
  std::memcpy(&bits, &value, sizeof bits);
  bits &= 0xFFFF0000U;
  std::memcpy(&value, &bits, sizeof bits);
  return value;
}

namespace detail {

/// Codes one channel of `rows` into `page`. @return whether its numbers are in the range of Half
template <class Put>
bool code_channel(const StoredRows& rows, std::size_t channel, QuantizerFault fault, Half& step, Half& zero,
                  const Put& put) {
  double lowest = rows(0, channel), highest = lowest;
  for (std::size_t i = 1; i < page_tokens; ++i) {
    lowest = std::min(lowest, rows(i, channel));
    highest = std::max(highest, rows(i, channel));
  }
  step = zero = {0};
  const bool inside = lowest >= -65504.0 && highest <= 65504.0;
  if (inside) {
    zero = fault == QuantizerFault::zero_to_nearest ? kernels::nearest_half(lowest) : half_below(lowest);
    step = covering_step(highest, half_value(zero));
    const double width = (highest - half_value(zero)) / 256.0;
    if (fault == QuantizerFault::step_to_nearest) step = kernels::nearest_half(width);
    if (fault == QuantizerFault::step_without_floor && width == 0.0) step = {0};
  }
  const double z = half_value(zero), s = half_value(step);
  for (std::size_t i = 0; i < page_tokens; ++i) {
    int code = inside ? code12_of(rows(i, channel), z, s) : 0;
    if (fault == QuantizerFault::code_to_nearest && s > 0.0)
      code = std::clamp(16 * static_cast<int>(std::nearbyint((rows(i, channel) - z) / s)), 0, 4095);
    put(i, code);
  }
  return inside;
}

/// 16 rounds of the power iteration, from a vector of ones.
inline double iterated_norm(std::span<const double> rows, std::size_t head_dim) {
  std::vector<double> x(page_tokens, 1.0), image(head_dim);
  double norm = 0.0;
  for (int round = 0; round < 16; ++round) {
    double before = 0.0, after = 0.0;
    for (const double of : x) before += of * of;
    for (std::size_t j = 0; j < head_dim; ++j) {
      image[j] = 0.0;
      for (std::size_t i = 0; i < page_tokens; ++i) image[j] += rows[i * head_dim + j] * x[i];
      after += image[j] * image[j];
    }
    if (after == 0.0) break;
    norm = std::sqrt(after / before);
    for (std::size_t i = 0; i < page_tokens; ++i) {
      x[i] = 0.0;
      for (std::size_t j = 0; j < head_dim; ++j) x[i] += rows[i * head_dim + j] * (image[j] / norm);
    }
  }
  return norm;
}

/// Bound of the spectral norm of residuals, of which each row has at most the norm `residual`.
inline float spread_above(std::span<const double> off, std::size_t head_dim, float residual, bool truncated,
                          bool without_proof) {
  if (truncated) {
    const double norm = spectral_norm(off, head_dim);
    const auto nearest = static_cast<float>(norm);
    return static_cast<double>(nearest) < norm ? nearest : std::nextafter(nearest, 0.0F);
  }
  if (without_proof) return root_above(Quad{iterated_norm(off, head_dim)} * iterated_norm(off, head_dim));
  return 8.0F * residual;  // all tokens off in the same direction
}

}  // namespace detail

/// What quantize_page() promises to write, its generation 0; or what it would write with a mistake in it.
inline PageBytes quantize_page(const StoredRows& keys, const StoredRows& values,
                               QuantizerFault fault = QuantizerFault::none) {
  const std::size_t dims = keys.head_dim;
  PageBytes page(dims);
  bool keys_inside = true, values_inside = true;
  for (std::size_t j = 0; j < dims; ++j) {
    Half step, zero;
    keys_inside &=
        detail::code_channel(keys, j, fault, step, zero, [&](std::size_t i, int code) { page.key_code12(i, j, code); });
    page.factor(PageBytes::key_step, j, step);
    page.factor(PageBytes::key_zero, j, zero);
    values_inside &= detail::code_channel(values, j, fault, step, zero,
                                          [&](std::size_t i, int code) { page.value_code12(i, j, code); });
    page.factor(PageBytes::value_step, j, step);
    page.factor(PageBytes::value_zero, j, zero);
  }

  const auto root = [](Quad square, bool down) { return down ? root_below(square) : root_above(square); };
  const bool residual_down = fault == QuantizerFault::residual_rounded_down;
  kernels::PageSummary summary;
  summary.tokens = page_tokens;
  Quad code_norm = 0, value_reach = 0, key_reach = 0;
  for (const PageLevel level : {PageLevel::bits4, PageLevel::bits8, PageLevel::bits12}) {
    Quad most = 0, value_most = 0;
    float float_most = 0.0F;
    std::vector<double> key_off, value_off;  // [page_tokens][head_dim]
    for (std::size_t i = 0; i < page_tokens; ++i) {
      Quad residual = 0, value_residual = 0, norm = 0, value_norm = 0;
      float float_sum = 0.0F;
      for (std::size_t j = 0; j < dims; ++j) {
        const double step = std::ldexp(half_value(page.factor(PageBytes::key_step, j)), 8 - bits_of(level));
        const Quad difference = Quad{keys(i, j)} - page.key(i, j, level);
        const Quad from_middle = Quad{std::ldexp(page.key_code(i, j, level) + 0.5, 8 - bits_of(level))} - 128;
        const Quad steps = step > 0.0 ? difference / step : Quad{0};
        residual += steps * steps;
        key_off.push_back(static_cast<double>(steps));
        if (step > 0.0) {
          const auto f = static_cast<float>(difference) / static_cast<float>(step);
          float_sum += f * f;
        }
        norm += from_middle * from_middle;
        const Quad value = level == PageLevel::bits12 ? Quad{values(i, j)} : Quad{page.value(i, j, level)};
        value_residual += (values(i, j) - value) * (values(i, j) - value);
        value_off.push_back(static_cast<double>(values(i, j) - value));
        value_norm += value * value;
      }
      most = std::max(most, residual);
      float_most = std::max(float_most, std::sqrt(float_sum));
      value_most = std::max(value_most, value_residual);
      code_norm = std::max(code_norm, norm);
      if (fault != QuantizerFault::reach_without_codes || level == PageLevel::bits12)
        value_reach = std::max(value_reach, value_norm);
    }
    const auto l = static_cast<std::size_t>(level) - 1;
    constexpr float unknown = std::numeric_limits<float>::infinity();
    summary.key_residual[l] = keys_inside ? root(most, residual_down) : unknown;
    if (fault == QuantizerFault::residual_from_float) summary.key_residual[l] = float_most;
    if (fault == QuantizerFault::residual_truncated) summary.key_residual[l] = truncated(summary.key_residual[l]);
    if (level != PageLevel::bits12)
      summary.value_residual[l] = !values_inside ? unknown
                                  : value_most == 0
                                      ? std::numeric_limits<float>::denorm_min()  // 0 says that values are exact
                                      : root(value_most, fault == QuantizerFault::value_residual_rounded_down);
    const bool unproven = fault == QuantizerFault::spread_without_proof;
    if (l < 2)
      summary.value_spread[l] = detail::spread_above(value_off, dims, summary.value_residual[l],
                                                     fault == QuantizerFault::value_spread_truncated, unproven);
    if (l > 0)
      summary.key_spread[l - 1] = detail::spread_above(key_off, dims, summary.key_residual[l],
                                                       fault == QuantizerFault::key_spread_truncated, unproven);
  }
  for (std::size_t j = 0; j < dims; ++j) {
    const double reach = std::fabs(half_value(page.factor(PageBytes::key_zero, j))) +
                         256.0 * half_value(page.factor(PageBytes::key_step, j));
    key_reach += Quad{reach} * reach;
  }
  if (!keys_inside) {  // the channels that are not coded count as they are
    for (std::size_t i = 0; i < page_tokens; ++i) key_reach = std::max(key_reach, keys.square_norm(i));
  }
  const bool norm_down = fault == QuantizerFault::norm_rounded_down;
  summary.key_reach = root(key_reach, norm_down);
  summary.code_norm = root(code_norm, norm_down);
  summary.value_reach = root(value_reach, norm_down);
  page.summary(summary);
  for (std::size_t i = 0; i < page_tokens; ++i)
    page.value_norm(
        i, summary.value_reach > 0.0F
               ? kernels::nearest_half(std::sqrt(static_cast<double>(values.square_norm(i))) / summary.value_reach)
               : Half{0});
  return page;
}

}  // namespace mpp::reference

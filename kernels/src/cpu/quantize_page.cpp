// One page of one head: its numbers as doubles, a grid for each channel, fine codes, planes, and then the residuals of every
// level as they turned out.
#include <mpp/kernels/quantize_page.hpp>

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

#include <mpp/core/error.hpp>

#include "src/cpu/ops.hpp"
#include "src/cpu/spectral_norm.hpp"
#include "src/page_code.hpp"
#include "src/stored_page.hpp"

namespace mpp::kernels::cpu {
namespace {

constexpr float unknown = std::numeric_limits<float>::infinity();

float up(double value) {  // to float, outward
  const double inflated = value * summary_slack;
  if (!(inflated <= std::numeric_limits<float>::max())) return unknown;
  const auto nearest = static_cast<float>(inflated);
  return static_cast<double>(nearest) < inflated ? std::nextafter(nearest, unknown) : nearest;
}

// Keys or values of a page, with the grid of each channel and the fine codes.
struct Matrix {
  std::array<std::array<float, max_head_dim>, page_tokens> exact;
  std::array<std::array<double, max_head_dim>, page_tokens> cell;  // above zero, in fine steps
  std::array<std::array<std::uint16_t, max_head_dim>, page_tokens> code;
  std::array<double, max_head_dim> zero, step;
  bool in_range;

  void load(KvType type, std::size_t head_dim, std::size_t tokens, const std::uint16_t* bits, const char* operation,
            std::size_t page, const char* argument) {
    for (std::size_t i = 0; i < tokens; ++i)
      for (std::size_t j = 0; j < head_dim; ++j) {
        exact[i][j] = stored_number(type, bits[i * head_dim + j]);
        expects<ValueError>(std::isfinite(exact[i][j]), operation, ": page ", page, ": ", argument, " of token ", i,
                            ", channel ", j, " is ", exact[i][j], ", expected a finite number");
      }
  }

  void make_grid(std::size_t head_dim, Half* steps, Half* zeros) {
    in_range = true;
    for (std::size_t j = 0; j < head_dim; ++j) {
      float least = exact[0][j];
      float most = exact[0][j];
      for (std::size_t i = 1; i < page_tokens; ++i) {
        least = std::min(least, exact[i][j]);
        most = std::max(most, exact[i][j]);
      }
      // Half rounds towards +infinity only; the zero needs the other side. Then the step is computed, from that zero.
      Half below = half_above(-static_cast<double>(least));
      below.bits ^= 0x8000;
      const bool fits = std::max(-least, most) <= half_range_end;
      zeros[j] = fits ? below : Half{};
      zero[j] = static_cast<double>(to_float(zeros[j]));
      steps[j] = fits ? half_above(std::max((static_cast<double>(most) - zero[j]) / 256.0, 0x1p-24)) : Half{};
      step[j] = static_cast<double>(to_float(steps[j]));
      in_range = in_range && fits;
    }
  }

  void take_grid(std::size_t head_dim, const Half* steps, const Half* zeros) {
    for (std::size_t j = 0; j < head_dim; ++j) {
      zero[j] = static_cast<double>(to_float(zeros[j]));
      step[j] = static_cast<double>(to_float(steps[j]));
    }
  }

  void make_codes(std::size_t head_dim) {
    for (std::size_t i = 0; i < page_tokens; ++i)
      for (std::size_t j = 0; j < head_dim; ++j) {
        // Without a grid every code is 0, and so is what it stands for.
        const double fine_step = step[j] > 0.0 ? step[j] / 16.0 : 1.0;
        cell[i][j] = step[j] > 0.0 ? (static_cast<double>(exact[i][j]) - zero[j]) / fine_step : 0.0;
        code[i][j] = static_cast<std::uint16_t>(fine_code(cell[i][j]));
      }
  }

  // The 4 bits of every code above `shift`, rows along channels or along tokens.
  void pack(std::size_t head_dim, int shift, bool rows_are_channels, std::uint32_t* words) const {
    if (words == nullptr) return;
    const auto nibble = [&](std::size_t row, std::size_t column) {
      const std::uint16_t bits = rows_are_channels ? code[column][row] : code[row][column];
      return static_cast<std::uint32_t>(bits >> shift & 15) << nibble_shift(row);
    };
    const std::size_t columns = rows_are_channels ? page_tokens : head_dim;
    for (std::size_t row = 0; row < page_tokens * head_dim / columns; row += 8)
      for (std::size_t column = 0; column < columns; ++column) {
        std::uint32_t word = 0;
        for (std::size_t r = 0; r < 8; ++r) word |= nibble(row + r, column);
        *words++ = word;
      }
  }
};

// Norms over channels of term(token, channel). Each adds up channel by channel, as on every device; four at a time, because
// each addition of one waits for the last.
template <class Term>
std::array<double, page_tokens> norms(std::size_t head_dim, std::size_t tokens, Term term) {
  constexpr std::size_t together = 4;
  std::array<double, page_tokens> found{};
  for (std::size_t i = 0; i < tokens; i += together) {
    double square[together] = {};
    for (std::size_t j = 0; j < head_dim; ++j)
      for (std::size_t t = 0; t < together; ++t) {
        const double x = term(std::min(i + t, tokens - 1), j);
        square[t] += x * x;
      }
    for (std::size_t t = 0; t < together && i + t < tokens; ++t) found[i + t] = std::sqrt(square[t]);
  }
  return found;
}

double largest(const std::array<double, page_tokens>& numbers) {
  return *std::max_element(numbers.begin(), numbers.end());
}

std::array<double, page_tokens> exact_norms(const Matrix& matrix, std::size_t head_dim, std::size_t tokens) {
  return norms(head_dim, tokens, [&](std::size_t i, std::size_t j) { return static_cast<double>(matrix.exact[i][j]); });
}

// Spectral norm of the matrix term(token, channel), [page_tokens][head_dim].
template <class Term>
double spectral_norm_of(std::size_t head_dim, Term term) {
  double channels[max_head_dim][page_tokens];
  for (std::size_t i = 0; i < page_tokens; ++i)
    for (std::size_t j = 0; j < head_dim; ++j) channels[j][i] = term(i, j);
  return spectral_norm(channels, head_dim);
}

void summarize_keys(const Matrix& keys, std::size_t head_dim, PageSummary& summary) {
  double code_norm = 0.0;
  for (int level = 0; level < 3; ++level) {
    const int dropped = 8 - 4 * level;
    const auto off = [&](std::size_t i, std::size_t j) {
      if (keys.step[j] == 0.0) return 0.0;
      return (keys.cell[i][j] - cell_middle(keys.code[i][j], dropped)) / static_cast<double>(1 << dropped);
    };
    summary.key_residual[level] = keys.in_range ? up(largest(norms(head_dim, page_tokens, off))) : unknown;
    if (level > 0)
      summary.key_spread[level - 1] = keys.in_range ? up(spectral_norm_of(head_dim, off) + spread_floor) : unknown;
    code_norm = std::max(code_norm, largest(norms(head_dim, page_tokens, [&](std::size_t i, std::size_t j) {
                           return cell_middle(keys.code[i][j], dropped) / 16.0 - 128.0;
                         })));
  }
  summary.code_norm = up(code_norm);
  double reach = 0.0;
  for (std::size_t j = 0; j < head_dim; ++j) {
    const double end = std::fabs(keys.zero[j]) + 256.0 * keys.step[j];
    reach += end * end;
  }
  summary.key_reach = up(std::max(std::sqrt(reach), largest(exact_norms(keys, head_dim, page_tokens))));
}

Half relative_norm(double norm, float reach) {
  return reach > 0.0F ? nearest_half(norm / static_cast<double>(reach)) : Half{};
}

// `coded_reach`: the largest norm of what codes stand for.
void summarize_values(const Matrix& values, std::size_t head_dim, std::size_t tokens, double coded_reach,
                      const PageFields<std::byte>& fields) {
  const auto exact = exact_norms(values, head_dim, tokens);
  const float reach = up(std::max(coded_reach, largest(exact)));
  fields.summary->value_reach = reach;
  for (std::size_t i = 0; i < page_tokens; ++i)
    fields.value_norm[i] = i < tokens ? relative_norm(exact[i], reach) : Half{};
}

void code_values(const Matrix& values, std::size_t head_dim, const PageFields<std::byte>& fields) {
  double reach = 0.0;
  for (int level = 0; level < 2; ++level) {
    const int dropped = 8 - 4 * level;
    const auto coded = [&](std::size_t i, std::size_t j) {
      return values.zero[j] + cell_middle(values.code[i][j], dropped) * (values.step[j] / 16.0);
    };
    const auto off = [&](std::size_t i, std::size_t j) {
      return static_cast<double>(values.exact[i][j]) - coded(i, j);
    };
    const double residual = largest(norms(head_dim, page_tokens, off));
    // Never 0: that says that values are exact.
    fields.summary->value_residual[level] =
        values.in_range ? std::max(up(residual), std::numeric_limits<float>::denorm_min()) : unknown;
    fields.summary->value_spread[level] =
        values.in_range ? std::max(up(spectral_norm_of(head_dim, off)), std::numeric_limits<float>::denorm_min())
                        : unknown;
    reach = std::max(reach, largest(norms(head_dim, page_tokens, coded)));
  }
  summarize_values(values, head_dim, page_tokens, reach, fields);
}

void summarize_open(const PageToQuantize& page, std::size_t index, KvType type, std::size_t head_dim,
                    std::size_t tokens, std::size_t known) {
  const PageFields fields(page.metadata, head_dim);
  PageSummary& summary = *fields.summary;
  if (known == 0) summary = {.generation = summary.generation};
  summary.tokens = static_cast<std::uint32_t>(tokens);
  const std::size_t added = tokens - known;
  if (added == 0) return;
  Matrix matrix;
  matrix.load(type, head_dim, added, page.keys + known * head_dim, "summarize_page", index, "key");
  summary.key_reach = std::max(summary.key_reach, up(largest(exact_norms(matrix, head_dim, added))));
  matrix.load(type, head_dim, added, page.values + known * head_dim, "summarize_page", index, "value");
  const auto norms_added = exact_norms(matrix, head_dim, added);
  if (known == 0 || up(largest(norms_added)) > summary.value_reach) {  // all norms are relative to it
    if (known > 0) matrix.load(type, head_dim, tokens, page.values, "summarize_page", index, "value");
    return summarize_values(matrix, head_dim, tokens, 0.0, fields);
  }
  for (std::size_t i = 0; i < added; ++i)
    fields.value_norm[known + i] = relative_norm(norms_added[i], summary.value_reach);
}

// Codes of `wanted` planes as quantize_page() has made them, on a grid that it has made.
void encode(Matrix& matrix, std::size_t head_dim, const Half* steps, const Half* zeros, bool rows_are_channels,
            std::span<std::uint32_t* const> wanted) {
  matrix.take_grid(head_dim, steps, zeros);
  matrix.make_codes(head_dim);
  for (std::size_t plane = 0; plane < wanted.size(); ++plane)
    matrix.pack(head_dim, 8 - 4 * static_cast<int>(plane), rows_are_channels, wanted[plane]);
}

}  // namespace

void quantize_page(const Context&, KvType type, std::size_t head_dim, std::span<const PageToQuantize> pages) {
  for (std::size_t p = 0; p < pages.size(); ++p) {
    const PageToQuantize& page = pages[p];
    const PageFields fields(page.metadata, head_dim);
    Matrix matrix;
    matrix.load(type, head_dim, page_tokens, page.keys, "quantize_page", p, "key");
    matrix.make_grid(head_dim, fields.key_step, fields.key_zero);
    matrix.make_codes(head_dim);
    for (int plane = 0; plane < 3; ++plane) matrix.pack(head_dim, 8 - 4 * plane, true, page.key_planes[plane]);
    summarize_keys(matrix, head_dim, *fields.summary);
    matrix.load(type, head_dim, page_tokens, page.values, "quantize_page", p, "value");
    matrix.make_grid(head_dim, fields.value_step, fields.value_zero);
    matrix.make_codes(head_dim);
    for (int plane = 0; plane < 2; ++plane) matrix.pack(head_dim, 8 - 4 * plane, false, page.value_planes[plane]);
    code_values(matrix, head_dim, fields);
    fields.summary->tokens = page_tokens;
  }
}

void summarize_page(const Context&, KvType type, std::size_t head_dim, std::span<const PageToQuantize> pages,
                    std::size_t tokens, std::size_t known) {
  for (std::size_t p = 0; p < pages.size(); ++p) summarize_open(pages[p], p, type, head_dim, tokens, known);
}

void encode_planes(const Context&, KvType type, std::size_t head_dim, std::span<const PageToQuantize> pages) {
  for (std::size_t p = 0; p < pages.size(); ++p) {
    const PageToQuantize& page = pages[p];
    const PageFields fields(page.metadata, head_dim);
    Matrix matrix;
    if (any_plane(page.key_planes)) {
      matrix.load(type, head_dim, page_tokens, page.keys, "encode_planes", p, "key");
      encode(matrix, head_dim, fields.key_step, fields.key_zero, true, page.key_planes);
    }
    if (any_plane(page.value_planes)) {
      matrix.load(type, head_dim, page_tokens, page.values, "encode_planes", p, "value");
      encode(matrix, head_dim, fields.value_step, fields.value_zero, false, page.value_planes);
    }
  }
}

}  // namespace mpp::kernels::cpu

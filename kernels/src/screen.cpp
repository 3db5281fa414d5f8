#include <mpp/kernels/screen.hpp>

#include "src/dispatch.hpp"

namespace mpp::kernels {

void make_screen_table(std::span<const std::int16_t> code, std::span<std::uint8_t> table) {
  expects<ShapeError>(code.size() % 8 == 0, "make_screen_table: code has ", code.size(),
                      " values, expected a multiple of 8");
  expects<ShapeError>(table.size() == screen_table_bytes(code.size()), "make_screen_table: table has ", table.size(),
                      " bytes, expected ", screen_table_bytes(code.size()));
  for (std::size_t g = 0; g < code.size() / 4; ++g) {
    int magnitude = 0;
    for (std::size_t b = 0; b < 4; ++b) magnitude += std::abs(code[4 * g + b]);
    expects<ValueError>(magnitude <= 127, "make_screen_table: group ", g, " sums to ", magnitude,
                        ", expected at most 127 (coarse_grid)");
    for (unsigned pattern = 0; pattern < 16; ++pattern) {
      int sum = 127;
      for (std::size_t b = 0; b < 4; ++b) sum += (pattern >> b & 1U) != 0 ? code[4 * g + b] : -code[4 * g + b];
      table[16 * g + pattern] = static_cast<std::uint8_t>(sum);
    }
  }
}

void screen(const Context& context, std::span<const std::uint8_t> blocks, std::size_t dims,
            std::span<const ScreenQuery> queries) {
  expects<ShapeError>(dims > 0 && dims % 8 == 0, "screen: dims is ", dims, ", expected a positive multiple of 8");
  const std::size_t block_bytes = block_rows * dims / 8;
  expects<ShapeError>(blocks.size() % block_bytes == 0, "screen: blocks has ", blocks.size(),
                      " bytes, expected a multiple of ", block_bytes);
  const std::size_t rows = blocks.size() / block_bytes * block_rows;
  for (std::size_t q = 0; q < queries.size(); ++q) {
    expects<ShapeError>(queries[q].table.size() == screen_table_bytes(dims), "screen: queries[", q, "].table has ",
                        queries[q].table.size(), " bytes, expected ", screen_table_bytes(dims));
    expects<ShapeError>(queries[q].dots.size() == rows, "screen: queries[", q, "].dots has ", queries[q].dots.size(),
                        " values, expected ", rows);
  }
  dispatch(
      context, [&] { cpu::screen(context, blocks, dims, queries); },
      [&] { cuda::screen(context, blocks, dims, queries); });
}

void refine_dots(const Context& context, std::span<const std::uint8_t> rows, std::size_t plane_slice_count,
                 std::span<const std::int16_t> code, std::span<std::int32_t> dots) {
  const std::size_t expected = dots.size() * plane_slice_count * code.size() / 8;
  expects<ShapeError>(code.size() % 8 == 0, "refine_dots: code has ", code.size(), " values, expected a multiple of 8");
  expects<ShapeError>(rows.size() == expected, "refine_dots: rows has ", rows.size(), " bytes, expected ", expected,
                      " for ", dots.size(), " rows of ", plane_slice_count, " slices");
  dispatch(
      context, [&] { cpu::refine_dots(context, rows, plane_slice_count, code, dots); },
      [&] { cuda::refine_dots(context, rows, plane_slice_count, code, dots); });
}

}  // namespace mpp::kernels

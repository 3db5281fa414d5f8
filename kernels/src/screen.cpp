#include <mpp/kernels/screen.hpp>

#include "src/dispatch.hpp"

namespace mpp::kernels {
namespace {

// Returns how many rows the blocks hold.
std::size_t expects_blocks(const char* op, std::size_t bytes, std::size_t dims) {
  expects<ShapeError>(dims > 0 && dims % 8 == 0, op, ": dims is ", dims, ", expected a positive multiple of 8");
  const std::size_t block_bytes = block_rows * dims / 8;
  expects<ShapeError>(bytes % block_bytes == 0, op, ": blocks has ", bytes, " bytes, expected a multiple of ",
                      block_bytes);
  return bytes / block_bytes * block_rows;
}

template <class Query>
void expects_query(const char* op, std::size_t q, const Query& query, std::size_t dims, std::size_t rows) {
  expects<ShapeError>(query.table.size() == screen_table_bytes(dims), op, ": queries[", q, "].table has ",
                      query.table.size(), " bytes, expected ", screen_table_bytes(dims));
  expects<ShapeError>(query.dots.size() == rows, op, ": queries[", q, "].dots has ", query.dots.size(),
                      " values, expected ", rows);
}

}  // namespace

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
  const std::size_t rows = expects_blocks("screen", blocks.size(), dims);
  for (std::size_t q = 0; q < queries.size(); ++q) expects_query("screen", q, queries[q], dims, rows);
  dispatch(
      context, [&] { cpu::screen(context, blocks, dims, queries); },
      [&] { cuda::screen(context, blocks, dims, queries); });
}

void refine_blocks(const Context& context, std::span<const std::uint8_t> blocks, std::size_t dims,
                   std::span<const RefineQuery> queries) {
  const std::size_t rows = expects_blocks("refine_blocks", blocks.size(), dims);
  for (std::size_t q = 0; q < queries.size(); ++q) {
    expects_query("refine_blocks", q, queries[q], dims, rows);
    expects<ShapeError>(queries[q].open.size() == rows / block_rows, "refine_blocks: queries[", q, "].open has ",
                        queries[q].open.size(), " words, expected ", rows / block_rows);
  }
  dispatch(
      context, [&] { cpu::refine_blocks(context, blocks, dims, queries); },
      [&] { cuda::refine_blocks(context, blocks, dims, queries); });
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

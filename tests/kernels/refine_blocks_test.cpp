#include <mpp/core/error.hpp>
#include <mpp/kernels/screen.hpp>

#include "kernels/samples.hpp"
#include "reference/screen.hpp"

namespace mpp::kernels {
namespace {

/// One query of a call: its code, the sums so far, and which rows are open.
struct Asked {
  std::vector<std::int16_t> code, dots;
  std::vector<std::uint64_t> open;
};

// Packs a slice in layout "rows", uploads, and extends the sums of all queries in one call.
std::vector<std::vector<std::int16_t>> run(const Context& context, const std::vector<std::uint8_t>& slice,
                                           std::size_t dims, const std::vector<Asked>& queries) {
  const auto packed = reference::pack_blocks(slice, dims);
  const DeviceArray<std::uint8_t> blocks(context, std::span<const std::uint8_t>(packed));
  std::vector<DeviceArray<std::uint8_t>> tables;
  std::vector<DeviceArray<std::int16_t>> dots;
  std::vector<DeviceArray<std::uint64_t>> open;
  std::vector<RefineQuery> views;
  for (const Asked& query : queries) {
    std::vector<std::uint8_t> table(screen_table_bytes(dims));
    make_screen_table(query.code, table);
    tables.emplace_back(context, std::span<const std::uint8_t>(table));
    dots.emplace_back(context, std::span<const std::int16_t>(query.dots));
    open.emplace_back(context, std::span<const std::uint64_t>(query.open));
    views.push_back({tables.back().span(), dots.back().span(), open.back().span()});
  }
  refine_blocks(context, blocks.span(), dims, views);
  std::vector<std::vector<std::int16_t>> out;
  for (const auto& query_dots : dots) out.push_back(query_dots.to_host());
  return out;
}

std::vector<std::int16_t> narrowed(const std::vector<std::int64_t>& values) {
  std::vector<std::int16_t> out;
  for (const std::int64_t value : values) {
    EXPECT_EQ(static_cast<std::int16_t>(value), value);
    out.push_back(static_cast<std::int16_t>(value));
  }
  return out;
}

/// Words of blocks: about a third without an open row, a third with one, a third with several.
std::vector<std::uint64_t> some_open(std::size_t blocks, unsigned seed) {
  std::vector<std::uint64_t> open;
  for (const int x : random_integers<int>(blocks, 0, 191, seed))
    open.push_back(x < 64 ? 0 : std::uint64_t{1} << x % 64 | (x < 128 ? 0 : 0x9E3779B97F4A7C15ULL));
  return open;
}

class RefineBlocksTest : public KernelTest {};
MPP_ON_ALL_DEVICES(RefineBlocksTest);

TEST_P(RefineBlocksTest, ExtendsTheSumsOfOpenBlocksExactlyAndLeavesTheOthers) {
  for (const std::size_t dims : {8, 24, 64, 96, 128, 384, 1024})
    for (const std::size_t n : {0, 1, 64, 65, 700, 2100})
      for (const unsigned query_count : {1, 2, 3, 4, 5, 6, 7, 8, 9, 17, 70}) {
        if (dims * n * query_count > 1'000'000) continue;  // the reference is slow
        const auto first = random_integers<std::uint8_t>(n * dims / 8, 0, 255, 31);
        const auto second = random_integers<std::uint8_t>(n * dims / 8, 0, 255, 32);
        std::vector<Asked> queries;
        for (unsigned q = 0; q < query_count; ++q) {
          const auto code = coarse_code(dims, 40 + q);
          queries.push_back({code, narrowed(reference::screen(first, dims, code)), some_open(blocks_of(n), 50 + q)});
        }
        const auto dots = run(context(), second, dims, queries);
        for (unsigned q = 0; q < query_count; ++q) {
          auto expected = queries[q].dots;
          const auto added = reference::screen(second, dims, queries[q].code);
          for (std::size_t i = 0; i < expected.size(); ++i)
            if (queries[q].open[i / 64] != 0) expected[i] = static_cast<std::int16_t>(2 * expected[i] + added[i]);
          ASSERT_EQ(dots[q], expected) << n << " x " << dims << ", query " << q << " of " << query_count;
        }
      }
}

TEST_P(RefineBlocksTest, GivesTheSumsOfTheNestedCode) {
  constexpr std::size_t dims = 96, n = 130;
  const HostCode code = quantize(context(), gaussian(n * dims, 33), dims);
  const auto query = coarse_code(dims, 34);
  const Asked asked{query, narrowed(reference::screen(code.codes[0], dims, query)), {~0ULL, ~0ULL, ~0ULL}};
  const auto dots = run(context(), code.codes[1], dims, {asked})[0];
  for (std::size_t i = 0; i < n; ++i)
    EXPECT_EQ(dots[i], reference::dot(reference::code_values(code.codes, i, 1, dims), query)) << i;
}

TEST_P(RefineBlocksTest, TouchesNothingWhereNoRowIsOpen) {
  constexpr std::size_t dims = 64, n = 192;
  const auto slice = random_integers<std::uint8_t>(n * dims / 8, 0, 255, 35);
  std::vector<Asked> queries;
  for (unsigned q = 0; q < 5; ++q)
    queries.push_back({coarse_code(dims, 60 + q), random_integers<std::int16_t>(n, -32768, 32767, 70 + q), {0, 0, 0}});
  const auto dots = run(context(), slice, dims, queries);
  for (std::size_t q = 0; q < queries.size(); ++q) EXPECT_EQ(dots[q], queries[q].dots) << q;
}

TEST_P(RefineBlocksTest, IsExactAtTheCapsOfTheCoarseGrid) {
  constexpr std::size_t dims = 344;  // 86 groups of 127 are 10922
  std::vector<std::int16_t> query(dims, 0);
  std::vector<std::uint8_t> agreeing(dims / 8, 0), opposed(dims / 8);
  for (std::size_t j = 0; j < dims; j += 4)
    query[j + j / 4 % 4] = static_cast<std::int16_t>(j / 4 % 3 == 0 ? -127 : 127);
  for (std::size_t j = 0; j < dims; ++j)
    agreeing[j / 8] |= static_cast<std::uint8_t>((query[j] > 0 ? 1U : 0U) << j % 8);
  for (std::size_t b = 0; b < dims / 8; ++b) opposed[b] = static_cast<std::uint8_t>(~agreeing[b]);
  auto slice = agreeing;
  slice.insert(slice.end(), opposed.begin(), opposed.end());
  std::vector<std::int16_t> start(64, 0);
  start[0] = coarse_grid.total_sum;
  start[1] = -coarse_grid.total_sum;
  start[2] = coarse_grid.total_sum;  // a padding row: all signs -1
  const auto dots = run(context(), slice, dims, {{query, start, {1}}})[0];
  EXPECT_EQ(dots[0], 3 * 10922);
  EXPECT_EQ(dots[1], -3 * 10922);
  EXPECT_EQ(dots[2], 2 * 10922 + reference::dot(std::vector<int>(dims, -1), query));
}

TEST_P(RefineBlocksTest, NamesTheArgumentThatDoesNotFit) {
  DeviceArray<std::uint8_t> blocks(context(), 1024), table(context(), screen_table_bytes(64));
  DeviceArray<std::int16_t> dots(context(), 128);
  DeviceArray<std::uint64_t> open(context(), std::span<const std::uint64_t>(std::vector<std::uint64_t>(2, 0)));
  const auto message = [&](std::size_t bytes, std::size_t dims, RefineQuery query) {
    return message_of<ShapeError>(
        [&] { refine_blocks(context(), blocks.span().first(bytes), dims, std::span<const RefineQuery>(&query, 1)); });
  };
  const RefineQuery good{table.span(), dots.span(), open.span()};
  EXPECT_EQ(message(1024, 64, good), "no error");
  EXPECT_NE(message(1024, 0, good).find("dims is 0"), std::string::npos);
  EXPECT_NE(message(1024, 60, good).find("dims is 60"), std::string::npos);
  EXPECT_NE(message(1023, 64, good).find("refine_blocks: blocks has 1023"), std::string::npos);
  EXPECT_NE(message(1024, 64, {table.span().first(8), dots.span(), open.span()}).find("table has 8"),
            std::string::npos);
  EXPECT_NE(message(1024, 64, {table.span(), dots.span().first(64), open.span()}).find("dots has 64"),
            std::string::npos);
  EXPECT_NE(message(1024, 64, {table.span(), dots.span(), open.span().first(1)}).find("open has 1 words, expected 2"),
            std::string::npos);
}

}  // namespace
}  // namespace mpp::kernels

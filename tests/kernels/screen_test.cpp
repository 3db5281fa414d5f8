#include <mpp/core/error.hpp>
#include <mpp/kernels/screen.hpp>

#include "kernels/samples.hpp"
#include "reference/screen.hpp"

namespace mpp::kernels {
namespace {

std::vector<std::uint8_t> table_of(const std::vector<std::int16_t>& code) {
  std::vector<std::uint8_t> table(screen_table_bytes(code.size()));
  make_screen_table(code, table);
  return table;
}

// Packs, uploads, screens for all queries in one call.
std::vector<std::vector<std::int16_t>> run_screen(const Context& context, const std::vector<std::uint8_t>& codes,
                                                  std::size_t dims,
                                                  const std::vector<std::vector<std::int16_t>>& queries) {
  const auto packed = reference::pack_blocks(codes, dims);
  const DeviceArray<std::uint8_t> blocks(context, std::span<const std::uint8_t>(packed));
  std::vector<DeviceArray<std::uint8_t>> tables;
  std::vector<DeviceArray<std::int16_t>> dots;
  std::vector<ScreenQuery> views;
  for (const auto& query : queries) {
    tables.emplace_back(context, std::span<const std::uint8_t>(table_of(query)));
    dots.emplace_back(context, packed.size() / (dims / 8));
    views.push_back({tables.back().span(), dots.back().span()});
  }
  screen(context, blocks.span(), dims, views);
  std::vector<std::vector<std::int16_t>> out;
  for (const auto& query_dots : dots) out.push_back(query_dots.to_host());
  return out;
}

template <class T>
std::vector<std::int64_t> widened(const std::vector<T>& values) {
  return {values.begin(), values.end()};
}

class ScreenTest : public KernelTest {};
MPP_ON_ALL_DEVICES(ScreenTest);

TEST_P(ScreenTest, GivesTheExactIntegersForAnyNumberOfQueries) {
  for (const std::size_t dims : {8, 64, 96, 128, 384, 1024})
    for (const std::size_t n : {0, 1, 63, 64, 65, 1000, 2100})
      for (const std::size_t query_count : {1, 2, 3, 5, 8, 9, 17}) {
        if (dims * n * query_count > 2'000'000) continue;  // the reference is slow
        const auto codes = random_integers<std::uint8_t>(n * dims / 8, 0, 255, 11);
        std::vector<std::vector<std::int16_t>> queries;
        for (unsigned q = 0; q < query_count; ++q) queries.push_back(coarse_code(dims, 20 + q));
        const auto dots = run_screen(context(), codes, dims, queries);
        for (std::size_t q = 0; q < query_count; ++q)
          ASSERT_EQ(widened(dots[q]), reference::screen(codes, dims, queries[q]))
              << n << " x " << dims << ", query " << q << " of " << query_count;
      }
}

TEST_P(ScreenTest, ServesMoreQueriesThanOneLaunchTakes) {
  constexpr std::size_t dims = 64;
  const auto codes = random_integers<std::uint8_t>(65 * dims / 8, 0, 255, 12);
  std::vector<std::vector<std::int16_t>> queries;
  for (unsigned q = 0; q < 131; ++q) queries.push_back(coarse_code(dims, 100 + q));
  const auto dots = run_screen(context(), codes, dims, queries);
  for (std::size_t q = 0; q < queries.size(); ++q)
    ASSERT_EQ(widened(dots[q]), reference::screen(codes, dims, queries[q])) << q;
}

TEST_P(ScreenTest, IsExactAtThreeTimesTheCapOfTheCoarseGrid) {
  // 258 groups of 127 are 32766, which two slices may reach; all signs agree with the query, or all disagree.
  constexpr std::size_t dims = 1032;
  std::vector<std::int16_t> query(dims, 0);
  std::vector<std::uint8_t> codes(2 * dims / 8);
  for (std::size_t j = 0; j < dims; j += 4)
    query[j + j / 4 % 4] = static_cast<std::int16_t>(j / 4 % 2 == 0 ? 127 : -127);
  for (std::size_t j = 0; j < dims; ++j)
    codes[(query[j] > 0 ? 0 : dims / 8) + j / 8] |= static_cast<std::uint8_t>(1U << (j % 8));
  const auto dots = run_screen(context(), codes, dims, {query});
  EXPECT_EQ(dots[0][0], 32766);
  EXPECT_EQ(widened(dots[0]), reference::screen(codes, dims, query));
}

TEST_P(ScreenTest, HandlesTheLargestDims) {
  constexpr std::size_t dims = 32768;
  const auto codes = random_integers<std::uint8_t>(70 * dims / 8, 0, 255, 13);
  const auto query = coarse_code(dims, 14);
  EXPECT_EQ(widened(run_screen(context(), codes, dims, {query})[0]), reference::screen(codes, dims, query));
}

TEST_P(ScreenTest, NamesTheArgumentThatDoesNotFit) {
  DeviceArray<std::uint8_t> blocks(context(), 512), table(context(), screen_table_bytes(64));
  DeviceArray<std::int16_t> dots(context(), 64);
  const auto message = [&](std::size_t bytes, std::size_t dims, ScreenQuery query) {
    return message_of<ShapeError>(
        [&] { screen(context(), blocks.span().first(bytes), dims, std::span<const ScreenQuery>(&query, 1)); });
  };
  EXPECT_EQ(message(512, 64, {table.span(), dots.span()}), "no error");
  EXPECT_NE(message(512, 60, {table.span(), dots.span()}).find("dims is 60"), std::string::npos);
  EXPECT_NE(message(511, 64, {table.span(), dots.span()}).find("blocks has 511"), std::string::npos);
  EXPECT_NE(message(512, 64, {table.span().first(8), dots.span()}).find("table has 8"), std::string::npos);
  EXPECT_NE(message(512, 64, {table.span(), dots.span().first(63)}).find("dots has 63"), std::string::npos);
}

TEST(ScreenTable, HoldsTheSumsOfAllPatterns) {
  const auto code = coarse_code(96, 15);
  const auto table = table_of(code);
  EXPECT_EQ(std::vector<int>(table.begin(), table.end()), reference::screen_table(code));
}

TEST(ScreenTable, RefusesAGroupAboveTheCap) {
  std::vector<std::int16_t> code(8, 0);
  code[4] = 100;
  code[7] = -27;
  EXPECT_EQ(table_of(code)[16 + 1], 127 + 100 + 27);
  code[5] = 1;
  EXPECT_NE(message_of<ValueError>([&] { table_of(code); }).find("group 1 sums to 128"), std::string::npos);
  std::vector<std::uint8_t> table(31);
  EXPECT_NE(message_of<ShapeError>([&] { make_screen_table(code, table); }).find("table has 31"), std::string::npos);
}

class RefineDotsTest : public KernelTest {};
MPP_ON_ALL_DEVICES(RefineDotsTest);

std::vector<std::int32_t> run_refine(const Context& context, const std::vector<std::uint8_t>& rows,
                                     std::size_t slice_count, const std::vector<std::int16_t>& code,
                                     const std::vector<std::int32_t>& start) {
  const DeviceArray<std::uint8_t> device_rows(context, std::span<const std::uint8_t>(rows));
  const DeviceArray<std::int16_t> device_code(context, std::span<const std::int16_t>(code));
  DeviceArray<std::int32_t> dots(context, std::span<const std::int32_t>(start));
  refine_dots(context, device_rows.span(), slice_count, device_code.span(), dots.span());
  return dots.to_host();
}

TEST_P(RefineDotsTest, ExtendsEveryDotProductExactly) {
  for (const std::size_t dims : {8, 24, 64, 96, 128, 384, 1024})
    for (const std::size_t n : {0, 1, 63, 64, 65, 1000})
      for (const std::size_t slice_count : {1, 2, 4}) {
        const auto rows = random_integers<std::uint8_t>(n * slice_count * dims / 8, 0, 255, 16);
        const auto code = random_integers<std::int16_t>(dims, -8000, 8000, 17);
        const auto start = random_integers<std::int32_t>(n, -100'000, 100'000, 18);
        ASSERT_EQ(widened(run_refine(context(), rows, slice_count, code, start)),
                  reference::refine_dots(rows, slice_count, code, widened(start)))
            << n << " x " << dims << ", " << slice_count << " slices";
      }
}

TEST_P(RefineDotsTest, IsExactAtTheCapOfTheFineGrid) {
  // All 8 slices agree with the query: v = 255 everywhere, and 255 * 8421504 is the largest sum below 2^31.
  constexpr std::size_t dims = 1032;
  std::vector<std::int16_t> code(dims, 0);
  std::int64_t left = fine_grid.total_sum;
  for (std::int16_t& c : code) {
    c = static_cast<std::int16_t>(std::min<std::int64_t>(left, 32767));
    left -= c;
  }
  const std::vector<std::uint8_t> ones(dims / 2, 255);
  auto dots = run_refine(context(), {ones.begin(), ones.begin() + dims / 8}, 1, code, {0});
  dots = run_refine(context(), {ones.begin(), ones.begin() + dims / 8}, 1, code, dots);
  dots = run_refine(context(), {ones.begin(), ones.begin() + dims / 4}, 2, code, dots);
  dots = run_refine(context(), ones, 4, code, dots);
  EXPECT_EQ(dots[0], 255 * (fine_grid.total_sum - left));
}

TEST_P(RefineDotsTest, NamesTheArgumentThatDoesNotFit) {
  EXPECT_NE(message_of<ShapeError>([&] {
              run_refine(context(), std::vector<std::uint8_t>(5), 2, std::vector<std::int16_t>(16), {1});
            }).find("rows has 5"),
            std::string::npos);
}

}  // namespace
}  // namespace mpp::kernels

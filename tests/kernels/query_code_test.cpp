#include <limits>

#include <mpp/core/error.hpp>

#include "kernels/samples.hpp"
#include "reference/screen.hpp"

namespace mpp::kernels {
namespace {

std::vector<std::vector<double>> queries(std::size_t dims) {
  auto one = std::vector<double>(dims, 0.0);
  one[dims - 1] = -0.3;
  auto huge = gaussian<double>(dims, 4, 1e300);
  auto tiny = gaussian<double>(dims, 5, 1e-300);
  const auto least = std::vector<double>(dims, std::numeric_limits<double>::denorm_min());
  return {
      least, gaussian<double>(dims, 1), std::vector<double>(dims, 1.0 / 3), std::vector<double>(dims, 0.0), one, huge,
      tiny};
}

TEST(QuantizeQuery, KeepsItsCapsAndItsErrorBounds) {
  for (const std::size_t dims : {8, 64, 96, 128, 384, 1024, 32768})
    for (const auto& query : queries(dims))
      for (const QueryGrid grid : {coarse_grid, fine_grid}) {
        std::vector<std::int16_t> code(dims);
        const QueryScale scale = quantize_query(query, grid, code);
        EXPECT_EQ(reference::broken_promise(query, grid, code, scale), "") << dims << ", " << query[0];
      }
}

TEST(QuantizeQuery, TheTestAboveCatchesAnErrorBoundThatIsTooSmall) {
  const auto query = gaussian<double>(64, 1);
  std::vector<std::int16_t> code(64);
  const QueryScale scale = quantize_query(query, coarse_grid, code);
  QueryScale less_l1 = scale, less_l2 = scale;
  less_l1.error_l1 *= 1 - 1e-6;
  less_l2.error_l2 *= 1 - 1e-6;
  EXPECT_NE(reference::broken_promise(query, coarse_grid, code, less_l1), "");
  EXPECT_NE(reference::broken_promise(query, coarse_grid, code, less_l2), "");
}

TEST(QuantizeQuery, UsesMostOfItsGrid) {
  // A coarse grid that wastes half its range would double the query's rounding error. Rounding reserves 2 of 127.
  const auto query = gaussian<double>(128, 2);
  std::vector<std::int16_t> code(128);
  static_cast<void>(quantize_query(query, coarse_grid, code));
  int fullest = 0;
  for (std::size_t g = 0; g < 128; g += 4) {
    int sum = 0;
    for (std::size_t j = g; j < g + 4; ++j) sum += std::abs(code[j]);
    fullest = std::max(fullest, sum);
  }
  EXPECT_GE(fullest, 121);
}

TEST(QuantizeQuery, UsesMostOfItsGridForManyDims) {
  // Half a unit for each of 32768 values would be more than the cap of all.
  for (const std::size_t dims : {1024, 10920, 10924, 21844, 32768}) {
    const auto query = gaussian<double>(dims, 3);
    std::vector<std::int16_t> code(dims);
    static_cast<void>(quantize_query(query, coarse_grid, code));
    std::int64_t sum = 0;
    for (const std::int16_t x : code) sum += std::abs(x);
    EXPECT_LE(sum, coarse_grid.total_sum);
    EXPECT_GE(sum, dims < 10924 ? coarse_grid.total_sum / 3 : coarse_grid.total_sum * 4 / 5) << dims;
  }
}

TEST(QuantizeQuery, RefusesWhatIsNotAQuery) {
  std::vector<std::int16_t> code(8);
  std::vector<double> query(8, 1.0);
  EXPECT_THROW(static_cast<void>(quantize_query(std::span(query).first(6), coarse_grid, code)), ShapeError);
  EXPECT_THROW(static_cast<void>(quantize_query(query, coarse_grid, std::span(code).first(4))), ShapeError);
  for (const double bad : {std::numeric_limits<double>::infinity(), std::numeric_limits<double>::quiet_NaN()}) {
    query[3] = bad;
    EXPECT_THROW(static_cast<void>(quantize_query(query, coarse_grid, code)), ValueError);
  }
  query.assign(8, std::numeric_limits<double>::max());
  EXPECT_THROW(static_cast<void>(quantize_query(query, coarse_grid, code)), ValueError);
}

}  // namespace
}  // namespace mpp::kernels

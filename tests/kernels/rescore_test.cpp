#include <bit>
#include <cmath>

#include <mpp/core/error.hpp>
#include <mpp/kernels/rescore.hpp>

#include "kernels/samples.hpp"
#include "reference/rescore.hpp"

namespace mpp::kernels {
namespace {

class RescoreTest : public KernelTest {
 protected:
  static std::vector<double> run(const std::vector<float>& rows, const std::vector<float>& query, Metric metric) {
    DeviceArray<double> scores(context(), rows.size() / query.size());
    rescore(context(), upload(rows).span(), upload(query).span(), metric, scores.span());
    return scores.to_host();
  }
};
MPP_ON_ALL_DEVICES(RescoreTest);

constexpr std::array metrics{Metric::inner_product, Metric::cosine, Metric::l2};

TEST_P(RescoreTest, EqualsTheDocumentedOrderOfSummationBitForBit) {
  for (const std::size_t dims : {1, 7, 8, 9, 64, 96, 128, 384, 1024})
    for (const std::size_t n : {0, 1, 63, 64, 65, 1000})
      for (const Metric metric : metrics)
        for (const double scale : {1.0, 1e-30, 1e30}) {
          const auto rows = gaussian(n * dims, 31, scale), query = gaussian(dims, 32, scale);
          const auto scores = run(rows, query, metric);
          ASSERT_EQ(scores.size(), n);
          for (std::size_t i = 0; i < n; ++i)
            ASSERT_EQ(std::bit_cast<std::uint64_t>(scores[i]),
                      std::bit_cast<std::uint64_t>(
                          reference::ordered_score(std::span(rows).subspan(i * dims, dims), query, metric)))
                << n << " x " << dims << ", row " << i << ", metric " << static_cast<int>(metric);
        }
}

TEST_P(RescoreTest, StaysWithinTheRoundingOfADoubleSum) {
  constexpr std::size_t dims = 384, n = 65;
  const auto rows = gaussian(n * dims, 33), query = gaussian(dims, 34);
  const auto scores = run(rows, query, Metric::inner_product);
  for (std::size_t i = 0; i < n; ++i) {
    const auto row = std::span<const float>(rows).subspan(i * dims, dims);
    double magnitude = 0.0;
    for (std::size_t j = 0; j < dims; ++j) magnitude += std::fabs(double{row[j]} * query[j]);
    const double error =
        static_cast<double>(reference::exact_dot(row, std::span<const float>(query)) - reference::Quad{scores[i]});
    EXPECT_LE(std::fabs(error), magnitude * (dims / 8 + 3) * 0x1p-53);  // dims / 8 additions a lane, 3 of the tree
  }
}

TEST_P(RescoreTest, ARowScoresOneAgainstItselfAndIsNearestToItself) {
  const auto row = gaussian(96, 35);
  EXPECT_DOUBLE_EQ(run(row, row, Metric::cosine)[0], 1.0);
  EXPECT_EQ(run(row, row, Metric::l2)[0], 0.0);
}

TEST_P(RescoreTest, NamesTheArgumentThatDoesNotFit) {
  DeviceArray<float> rows(context(), 17), query(context(), 8);
  DeviceArray<double> scores(context(), 2);
  const auto message = [&](std::size_t dims) {
    return message_of<ShapeError>(
        [&] { rescore(context(), rows.span(), query.span().first(dims), Metric::l2, scores.span()); });
  };
  EXPECT_NE(message(8).find("rows has 17"), std::string::npos);
  EXPECT_NE(message(0).find("query is empty"), std::string::npos);
}

}  // namespace
}  // namespace mpp::kernels

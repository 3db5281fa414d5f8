#include <mpp/core/error.hpp>

#include "kernels/samples.hpp"
#include "reference/sign_code.hpp"

namespace mpp::kernels {
namespace {

class DequantizeTest : public KernelTest {};
MPP_ON_ALL_DEVICES(DequantizeTest);

std::vector<float> run_dequantize(const Context& context, const HostCode& code, std::size_t plane, std::size_t dims,
                                  int unit_exponent) {
  std::vector<DeviceArray<std::uint8_t>> codes;
  std::vector<std::span<const std::uint8_t>> views;
  for (std::size_t p = 0; p <= plane; ++p) codes.emplace_back(context, std::span<const std::uint8_t>(code.codes[p]));
  for (const auto& plane_codes : codes) views.push_back(plane_codes.span());
  const DeviceArray<PlaneFactors> factors(context, std::span<const PlaneFactors>(code.factors[plane]));
  DeviceArray<float> out(context, factors.size() * dims);
  dequantize(context, views, factors.span(), plane, dims, unit_exponent, out.span());
  return out.to_host();
}

TEST_P(DequantizeTest, GivesScaleTimesCodeRoundedOnce) {
  for (const std::size_t dims : {8, 96, 384})
    for (const std::size_t n : {0, 1, 65})
      for (const int unit_exponent : {0, 4, -140, 100}) {
        const HostCode code = quantize(context(), gaussian(n * dims, 5), dims, 2);
        for (std::size_t p = 0; p < planes; ++p) {
          const auto out = run_dequantize(context(), code, p, dims, unit_exponent);
          for (std::size_t i = 0; i < n; ++i) {
            const auto row = std::vector<float>(&out[i * dims], &out[i * dims] + dims);
            ASSERT_EQ(row, reference::dequantize(reference::code_values(code.codes, i, p, dims), code.factors[p][i],
                                                 unit_exponent));
          }
        }
      }
}

TEST_P(DequantizeTest, ApproachesTheRowPlaneByPlane) {
  constexpr std::size_t dims = 128;
  const auto rows = gaussian(64 * dims, 6);
  const HostCode code = quantize(context(), rows, dims, 3);
  double before = std::numeric_limits<double>::infinity();
  for (std::size_t p = 0; p < planes; ++p) {
    const auto out = run_dequantize(context(), code, p, dims, 3);
    double error = 0.0;
    for (std::size_t j = 0; j < rows.size(); ++j) error += std::pow(double{out[j]} - rows[j], 2);
    EXPECT_LT(error, before / 2) << "plane " << p;  // each slice halves the cell, so squares fall by up to 4
    before = error;
  }
}

TEST_P(DequantizeTest, NamesTheArgumentThatDoesNotFit) {
  const HostCode code = quantize(context(), gaussian(2 * 8, 1), 8);
  DeviceArray<float> out(context(), 16);
  const auto first = upload(code.codes[0]);
  const auto factors = upload(code.factors[0]);
  const std::vector<std::span<const std::uint8_t>> views{first.span()};
  const auto message = [&](std::size_t plane, std::span<float> to) {
    return message_of<ShapeError>([&] { dequantize(context(), views, factors.span(), plane, 8, 0, to); });
  };
  EXPECT_NE(message(4, out.span()).find("plane is 4"), std::string::npos);
  EXPECT_NE(message(1, out.span()).find("codes has 1 planes"), std::string::npos);
  EXPECT_NE(message(0, out.span().first(8)).find("out has 8"), std::string::npos);
}

class PackBlocksTest : public KernelTest {};
MPP_ON_ALL_DEVICES(PackBlocksTest);

TEST_P(PackBlocksTest, PutsByteGOf64RowsSideBySide) {
  for (const std::size_t dims : {8, 64, 96, 1024})
    for (const std::size_t n : {0, 1, 63, 64, 65, 1000}) {
      const auto codes = random_integers<std::uint8_t>(n * dims / 8, 0, 255, 7);
      // Starts with ones, so that padding rows are seen to be written.
      DeviceArray<std::uint8_t> blocks = upload(std::vector<std::uint8_t>(blocked_bytes(n, dims), 255));
      pack_blocks(context(), upload(codes).span(), dims, blocks.span());
      ASSERT_EQ(blocks.to_host(), reference::pack_blocks(codes, dims)) << n << " x " << dims;
    }
}

TEST_P(PackBlocksTest, NamesTheArgumentThatDoesNotFit) {
  DeviceArray<std::uint8_t> codes(context(), 17), blocks(context(), 512);
  const auto message = [&](std::size_t bytes, std::size_t dims) {
    return message_of<ShapeError>([&] { pack_blocks(context(), codes.span().first(bytes), dims, blocks.span()); });
  };
  EXPECT_NE(message(17, 64).find("codes has 17"), std::string::npos);
  EXPECT_NE(message(16, 64).find("no error"), std::string::npos);
  EXPECT_NE(message(16, 8).find("blocks has 512"), std::string::npos);
}

}  // namespace
}  // namespace mpp::kernels

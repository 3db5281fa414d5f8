#include <gtest/gtest.h>

#include <mpp/llm/attention_bound.hpp>

#include "domains/llm/coded_read.hpp"

namespace mpp::llm {
namespace {

/// Pages whose tokens all err in the same way, the next page in the opposite one, at a quarter of a cell of keys of 8 bits and of
/// values of 4. Two channels have the same code and errors of opposite sign.
class AlikePages : public testing::Test {
 protected:
  static constexpr std::size_t pages = 4, dims = 64;

  static double number(std::size_t token, std::size_t code, double cells, double off) {
    if (token % page_tokens < 2) return token % page_tokens == 0 ? 0.0 : cells;  // the ends of the range
    const auto inside = static_cast<double>((token * 37 + code * 101) % 1009) / 1009.0;
    return 1.0 + std::floor(inside * (cells - 2.0)) + 0.5 + (token / page_tokens % 2 == 0 ? off : -off);
  }
  AlikePages()
      : cache(
            pages, 0, dims,
            [](std::size_t i, std::size_t d) { return number(i, d / 2, 256.0, d % 2 == 0 ? 0.25 : -0.25) / 16.0; },
            [](std::size_t i, std::size_t d) { return number(i, d, 16.0, i / page_tokens % 2 == 0 ? 0.25 : -0.25); }) {
    for (KvPage& page : cache.pages) page.key_level = PageLevel::bits8, page.value_level = PageLevel::bits4;
  }

  /// Codes cancel, errors of keys add up: each logit is off by `error`, but for those at the ends of the range.
  Read read(double error) const {
    std::vector<float> query(dims);
    const double size = error * std::sqrt(static_cast<double>(dims)) / (static_cast<double>(dims) * 0.25 / 16.0);
    for (std::size_t d = 0; d < dims; ++d) query[d] = static_cast<float>(d % 2 == 0 ? size : -size);
    return {cache, query};
  }

  Cache cache;
};

TEST_F(AlikePages, AttainTheirSpreads) {
  for (const double error : {0.01, 0.05, 0.2}) {
    const Read read = this->read(error);
    const True exact = truth(cache, read);
    const AttentionCertificate certificate = certify(read.sums(), read.norm());
    EXPECT_LE(exact.tv, certificate.attention_tv) << error;
    EXPECT_LE(exact.error, certificate.output_error) << error;
    EXPECT_GE(exact.tv + 1e-4, 0.9 * certificate.attention_tv * (1.0 - error)) << error;  // truth() leaves out 1e-4
    for (std::size_t p = 0; p < pages; ++p) EXPECT_NEAR(read.radius[p], 2.0 * error, 0.1 * error);
  }
}
TEST_F(AlikePages, CatchSpreadsThatAreTooSmall) {
  Read keys = read(0.05), values = read(0.001);
  EXPECT_LE(truth(cache, values).error, certify(values.sums(), values.norm()).output_error);
  for (std::size_t p = 0; p < pages; ++p) keys.spread[p] *= 0.8F, values.value_spread[p] *= 0.8F;
  EXPECT_GT(truth(cache, keys).tv, certify(keys.sums(), keys.norm()).attention_tv);
  EXPECT_GT(truth(cache, values).error, certify(values.sums(), values.norm()).output_error);
}

}  // namespace
}  // namespace mpp::llm

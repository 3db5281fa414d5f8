#include <mpp/core/error.hpp>

#include "kernels/attend_scene.hpp"
#include "kernels/spread_scene.hpp"

// The errors of logits as they show in an output, against the radius and the spread that the read tells.
namespace mpp::kernels {
namespace {

using reference::AttendPromise;

class AttendErrorTest : public KernelTest {
 protected:
  /// Residuals at `level`, and values that show the weights of tokens.
  static AttendPages page_of(std::size_t head_dim, PageLevel level, const Residuals& residuals) {
    ExactPage page = page_of_residuals(head_dim, level, residuals);
    page.values = exact_page(KvType::bfloat16, head_dim, 1, unit_values(0), unit_values(0)).values;
    AttendPages pages(context(), KvType::bfloat16, head_dim);
    pages.add(page, {level, PageLevel::exact});
    return pages;
  }
};
MPP_ON_ALL_DEVICES(AttendErrorTest);

TEST_P(AttendErrorTest, OfEveryTokenIsWithinTheRadiusAndOfAllWithinTheSpread) {
  ErrorRatios worst[4];
  for (const KvType type : {KvType::float16, KvType::bfloat16})
    for (const std::size_t head_dim : {32, 64, 96, 128, 256})
      for (const Family& keys : families())
        for (std::size_t first = 0; first < page_tokens; first += head_dim) {
          AttendPages pages(context(), type, head_dim);
          pages.add(exact_page(type, head_dim, 21, keys.sample, unit_values(first)), exact_level);
          for (const PageLevel level : {PageLevel::bits4, PageLevel::bits8, PageLevel::bits12, PageLevel::exact}) {
            pages.set_levels(0, {level, PageLevel::exact});
            for (const double logit : {1e-2, 1.0, 10.0, 1000.0}) {  // typical size
              double reach = std::max(static_cast<double>(pages.scene.pages[0].bytes.summary().key_reach), 1e-20);
              const auto scale = static_cast<float>(logit / reach);
              pages.set_queries(queries_of(query_kinds[0], 4, head_dim, 12), scale);
              const ErrorRatios ratios = worst_ratios(pages.scene, pages.read(), first);
              ASSERT_LE(std::max(ratios.radius, ratios.spread), 1.0)
                  << keys.name << ", head_dim " << head_dim << ", level " << static_cast<int>(level) << ", logits of "
                  << logit << ", type " << static_cast<int>(type);
              worst[static_cast<std::size_t>(level) - 1].take(ratios);
            }
          }
        }
  std::cout << "largest error of a token over its radius: K4 " << worst[0].radius << ", K8 " << worst[1].radius
            << ", K12 " << worst[2].radius << ", exact (what the output cannot hide) " << worst[3].radius << '\n'
            << "largest error of a page over its spread: K4 " << worst[0].spread << ", K8 " << worst[1].spread
            << ", K12 " << worst[2].spread << ", exact " << worst[3].spread << '\n';
}

TEST_P(AttendErrorTest, OfTheWorstRoundingOfAQueryIsWithinTheRadius) {
  double worst = 0.0;
  for (const std::size_t head_dim : {64, 96, 128, 256}) {
    const WorstRounding hard = worst_rounding(head_dim, 0);
    AttendPages pages(context(), KvType::float16, head_dim);
    pages.add(hard.page, {PageLevel::bits12, PageLevel::exact});
    for (const float scale : {1e-3F, 0.1F, 3.0F}) {
      pages.set_queries(hard.query, scale);
      const ErrorRatios ratios = worst_ratios(pages.scene, pages.read(), 0);
      ASSERT_LE(std::max(ratios.radius, ratios.spread), 1.0) << "head_dim " << head_dim << ", scale " << scale;
      worst = std::max(worst, ratios.radius);
    }
  }
  EXPECT_GT(worst, 0.7);  // otherwise the scene is not what it is meant to be
}

TEST_P(AttendErrorTest, OfTheWorstRoundingOfAQueryForEveryTokenIsWithinTheSpread) {
  // Codes without residuals, all at the lower end of their range: only the rounding of the query is left, times 128 steps.
  for (const std::size_t head_dim : {64, 128, 256}) {
    AttendPages pages = page_of(head_dim, PageLevel::bits12, [](std::size_t, std::size_t) { return 0.0; });
    pages.set_queries(worst_rounding(head_dim, 0).query, 0x1p24F);
    const ErrorRatios ratios = worst_ratios(pages.scene, pages.read(), 0);
    EXPECT_LE(ratios.spread, 1.0) << "head_dim " << head_dim;
    EXPECT_GT(ratios.spread, 0.8) << "head_dim " << head_dim;
  }
}

TEST_P(AttendErrorTest, OfTokensThatAllErrInTheSameWayIsTheSpread) {
  for (const PageLevel level : {PageLevel::bits4, PageLevel::bits8, PageLevel::bits12})
    for (const std::size_t head_dim : {64, 96, 256}) {
      AttendPages pages = page_of(head_dim, level, [](std::size_t, std::size_t) { return -0.5; });
      for (const float sign : {1.0F, -1.0F}) {
        // A logit is off by about 3: d half steps of the level, one of which is 2^-25, 16 times as much, or 2^-4 of it.
        const auto half_steps = std::ldexp(static_cast<double>(head_dim), -25 + 8 - reference::bits_of(level));
        pages.set_queries(std::vector<float>(head_dim, sign), static_cast<float>(3.0 / half_steps));
        AttendResult result = pages.read();
        const ErrorRatios ratios = worst_ratios(pages.scene, result, 0);
        EXPECT_LE(std::max(ratios.radius, ratios.spread), 1.0) << static_cast<int>(level) << ' ' << head_dim;
        // Of 12 bits the rounding of the query is charged with 0.52 * 127.5 / 32639 against 1/32, 6.5 %, and floats with
        // a few more. They do not err here.
        const bool fine = level == PageLevel::bits12;
        EXPECT_GT(ratios.spread, fine ? 0.89 : 0.98) << static_cast<int>(level) << ' ' << head_dim;
        result.spread[0] *= fine ? 0.85 : 0.9;
        EXPECT_GT(worst_ratios(pages.scene, result, 0).spread, 1.0) << "the twin";
        if (!fine) {
          EXPECT_NE(AttendPromise(pages.scene, result).broken(), "") << "the twin";
        }
      }
    }
}

TEST_P(AttendErrorTest, OfEachLevelHasASpreadOfItsOwn) {
  // In the middle of cells of 12 bits, and next to the end of one of 8 bits; then in the middle of cells of 8 bits.
  AttendPages eight = page_of(128, PageLevel::bits8, [](std::size_t, std::size_t) { return -0.5 + 0x1p-5; });
  eight.set_queries(std::vector<float>(128, 1.0F), 0x1p18F);
  AttendPages twelve = page_of(128, PageLevel::bits8, [](std::size_t, std::size_t) { return 0.0; });
  twelve.set_levels(0, {PageLevel::bits12, PageLevel::exact});
  twelve.set_queries(std::vector<float>(128, 1.0F), 0x1p22F);
  for (const AttendPages* pages : {&eight, &twelve}) {
    const double ratio = worst_ratios(pages->scene, pages->read(), 0).spread;
    EXPECT_LE(ratio, 1.0);
    EXPECT_GT(ratio, 0.85);
  }
}

TEST_P(AttendErrorTest, OfTokensThatErrInDifferentWaysHasASmallSpread) {
  // Rows of residuals that are orthogonal, and a query in the direction of one of them: the others do not err.
  const auto patterns = residual_patterns();
  const auto orthogonal =
      std::ranges::find_if(patterns, [](const auto& of) { return of.name == std::string_view("all equal"); });
  AttendPages pages = page_of(64, PageLevel::bits8, orthogonal->at);
  std::vector<float> query;
  for (std::size_t j = 0; j < 64; ++j) query.push_back(orthogonal->at(21, j) > 0.0 ? 1.0F : -1.0F);
  pages.set_queries(query, static_cast<float>(0x1p24 / 8.0));
  const AttendResult result = pages.read();
  const ErrorRatios ratios = worst_ratios(pages.scene, result, 0);
  EXPECT_LE(ratios.spread, 1.0);
  EXPECT_GT(ratios.spread, 0.9);
  EXPECT_LT(result.spread[0], 1.1 * result.radius[0]);  // not 8 times
}

TEST_P(AttendErrorTest, OfOneChannelIsHalfAStepAndTheRadiusNotMuchMore) {
  // Token 0 is at the lower end of its cell at every level. A query of one channel leaves the residual norm behind.
  const Family borders = families()[7];
  AttendPages pages(context(), KvType::float16, 64);
  pages.add(exact_page(KvType::float16, 64, 22, borders.sample, unit_values(0)), exact_level);
  std::vector<float> query(64);
  query[0] = 1.0F;
  pages.set_queries(query, 1.0F);
  for (const PageLevel level : {PageLevel::bits4, PageLevel::bits8}) {
    pages.set_levels(0, {level, PageLevel::exact});
    const double ratio = worst_ratios(pages.scene, pages.read(), 0).radius;
    EXPECT_LE(ratio, 1.0);
    EXPECT_GT(ratio, level == PageLevel::bits4 ? 0.96 : 0.75);
  }
}

TEST_P(AttendErrorTest, OfRoundingThatAddsUpIsWithinTheRadiusAndTheSpread) {
  // Every sum goes the same way: products of one sign and size. Keys of one value cost no codes, but a large zero.
  for (const PageLevel level : {PageLevel::bits8, PageLevel::exact}) {
    double worst = 0.0;
    for (const std::size_t head_dim : {32, 128, 256}) {
      const auto key = [](std::mt19937_64&, std::size_t, std::size_t) { return 1024.0; };
      AttendPages pages(context(), KvType::float16, head_dim);
      pages.add(exact_page(KvType::float16, head_dim, 23, key, key), exact_level);
      pages.set_levels(0, {level, PageLevel::exact});
      for (int i = 1; i < 64; ++i) {
        pages.set_queries(std::vector<float>(head_dim, 1.0F + static_cast<float>(i) * 0.0123F), 1.0F);
        const AttendResult result = pages.read();
        AttendPromise promise(pages.scene, result);
        ASSERT_EQ(promise.broken(), "");
        worst = std::max(worst, promise.worst_ratio());
        if (level == PageLevel::exact && promise.worst_ratio() > 0.0) {
          AttendResult without_rounding = result;
          without_rounding.spread[0] = 0.0;
          EXPECT_NE(AttendPromise(pages.scene, without_rounding).broken(), "");
        }
      }
    }
    if (GetParam() == Device::cpu) {  // on CUDA few numbers are added in a row
      EXPECT_GT(worst, 1.0 / 32.0) << static_cast<int>(level);
    }
  }
}

}  // namespace
}  // namespace mpp::kernels

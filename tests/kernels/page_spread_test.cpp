#include <limits>

#include <mpp/core/error.hpp>

#include "kernels/spread_scene.hpp"

// key_spread and value_spread of a page: above the spectral norm, and by how much.
namespace mpp::kernels {
namespace {

using reference::PagePromise;
using reference::QuantizerFault;

constexpr std::array levels{PageLevel::bits4, PageLevel::bits8, PageLevel::bits12};
// The eigenvalue that is proven is at most 1 + 2^-5 times one that is known not to be above all: sqrt(1 + 2^-5) - 1 = 0.0156.
constexpr double slack_end = 0.0157;

struct Looked {
  std::string broken;
  double slack;
};
Looked look(const ExactPage& exact, const PageBytes& page) {
  const StoredRows keys = exact.key_rows(), values = exact.value_rows();
  PagePromise promise(keys, values, page);
  const std::string broken = promise.broken();
  return {broken, promise.spread_slack()};
}

class PageSpreadTest : public KernelTest {
 protected:
  static PageBytes run(const ExactPage& exact) { return DevicePage(context(), exact).to_host(); }
};
MPP_ON_ALL_DEVICES(PageSpreadTest);

TEST_P(PageSpreadTest, CoversTheSpectralNormByLittle) {
  double worst = 0.0;
  for (const ResidualPattern& pattern : residual_patterns())
    for (const PageLevel level : levels)
      for (const std::size_t head_dim : {32, 64, 96, 128, 256}) {
        const ExactPage exact = page_of_residuals(head_dim, level, pattern.at);
        const Looked found = look(exact, run(exact));
        ASSERT_EQ(found.broken, "") << pattern.name << ", head_dim " << head_dim << ", level "
                                    << static_cast<int>(level);
        EXPECT_LE(found.slack, slack_end)
            << pattern.name << ", head_dim " << head_dim << ", level " << static_cast<int>(level);
        worst = std::max(worst, found.slack);
      }
  std::cout << "largest slack of a spread: " << worst << '\n';
}

TEST_P(PageSpreadTest, CoversTheSpectralNormOfEveryFamilyByLittle) {
  double worst = 0.0;
  for (const KvType type : {KvType::float16, KvType::bfloat16})
    for (const std::size_t head_dim : {32, 96, 128, 256})
      for (const Family& family : families()) {
        const ExactPage exact = exact_page(type, head_dim, 4, family.sample, family.sample);
        const Looked found = look(exact, run(exact));
        ASSERT_EQ(found.broken, "") << family.name << ", head_dim " << head_dim;
        EXPECT_LE(found.slack, slack_end) << family.name << ", head_dim " << head_dim;
        worst = std::max(worst, found.slack);
      }
  std::cout << "largest slack of a spread: " << worst << '\n';
}

TEST_P(PageSpreadTest, IsKnownWhereItCanBeWorkedOutByHand) {
  const auto patterns = residual_patterns();
  const auto pattern = [&](std::string_view name) {
    return std::ranges::find_if(patterns, [=](const auto& of) { return of.name == name; })->at;
  };
  const auto is = [](float told, double norm, const char* what) {
    EXPECT_GE(static_cast<double>(told), norm * (1.0 - 1e-15)) << what;
    EXPECT_LE(static_cast<double>(told), norm * (1.0 + slack_end)) << what;
  };
  for (const std::size_t head_dim : {32, 64, 256}) {
    const auto dims = static_cast<double>(head_dim);
    const auto told = [&](std::string_view name) {
      return run(page_of_residuals(head_dim, PageLevel::bits8, pattern(name))).summary();
    };
    is(told("all the same").key_spread[0], 0.5 * std::sqrt(64.0 * dims), "all the same");
    is(told("all the same").value_spread[1], 0.5 * std::sqrt(64.0 * dims) * 0x1p-24, "all the same");
    is(told("one token").key_spread[0], 0.5 * std::sqrt(dims), "one token");
    is(told("one number").key_spread[0], 0.5, "one number");
    is(told("alternating tokens").key_spread[0], 0.375 * std::sqrt(64.0 * dims), "alternating tokens");
    is(told("two equal ones").key_spread[0], 0.5 * std::sqrt(32.0 * dims / 2.0), "two equal ones");
    // Rows, or columns, of +-0.375 that are orthogonal to each other; of 256 channels each row of 64 comes 4 times.
    is(told("all equal").key_spread[0], 0.375 * std::sqrt(std::max(64.0, dims)), "all equal");
  }
}

TEST_P(PageSpreadTest, OfNoResidualIsNextToZero) {
  const auto none = [](std::size_t, std::size_t) { return 0.0; };
  const PageSummary eight = run(page_of_residuals(64, PageLevel::bits8, none)).summary();
  EXPECT_LE(eight.key_spread[0], 0x1p-32F);
  EXPECT_EQ(eight.value_spread[1], std::numeric_limits<float>::denorm_min());  // 0 says that values are exact
  const PageSummary twelve = run(page_of_residuals(64, PageLevel::bits12, none)).summary();
  EXPECT_LE(twelve.key_spread[1], 0x1p-32F);
}

TEST_P(PageSpreadTest, CoversResidualsThatAreNothingBesideTheOthers) {
  // bfloat16 down to its smallest number, whose square is 2^-266: nothing underflows in double.
  for (const double off : {0x1p-133, 1e-40, 1e-38, 1e-30, 1e-20, 1e-12}) {
    const ExactPage exact = page_next_to_the_middle(64, off);
    const PageBytes page = run(exact);
    ASSERT_EQ(reference::half_value(page.factor(PageBytes::key_step, 0)), 0x1p-23);
    ASSERT_EQ(reference::half_value(page.factor(PageBytes::key_zero, 0)), -0x1p-24);
    const Looked found = look(exact, page);
    EXPECT_EQ(found.broken, "") << off;
    EXPECT_LE(found.slack, slack_end) << off;
  }
}

TEST_P(PageSpreadTest, IsInfiniteWithoutCodesAndOfOneSideOnly) {
  for (const bool of_values : {false, true})
    for (const double outlier : {65600.0, -1e30, 3e38}) {
      ExactPage exact = exact_page(KvType::bfloat16, 64, 5, families()[0].sample, families()[0].sample);
      for (std::size_t i = 0; i < page_tokens; i += 9)
        (of_values ? exact.values : exact.keys)[i * 64 + 3] = stored(KvType::bfloat16, outlier);
      const PageBytes page = run(exact);
      EXPECT_EQ(look(exact, page).broken, "");
      for (int level = 0; level < 2; ++level) {
        EXPECT_EQ(std::isinf(page.summary().key_spread[level]), !of_values);
        EXPECT_EQ(std::isinf(page.summary().value_spread[level]), of_values);
      }
    }
}

TEST(PageSpread, IsTheSameOnBothDevices) {
  if (!available(Device::cuda)) GTEST_SKIP() << "cuda: not built in, or no such device here";
  const auto compare = [](const ExactPage& exact, const char* name) {
    const PageSummary here = DevicePage({.device = Device::cpu}, exact).to_host().summary();
    const PageSummary there = DevicePage({.device = Device::cuda}, exact).to_host().summary();
    for (int level = 0; level < 2; ++level) {
      EXPECT_EQ(here.key_spread[level], there.key_spread[level]) << name << ", head_dim " << exact.head_dim;
      EXPECT_EQ(here.value_spread[level], there.value_spread[level]) << name << ", head_dim " << exact.head_dim;
    }
  };
  for (const std::size_t head_dim : {32, 96, 256}) {
    for (const ResidualPattern& pattern : residual_patterns())
      for (const PageLevel level : levels) compare(page_of_residuals(head_dim, level, pattern.at), pattern.name);
    compare(page_next_to_the_middle(head_dim, 1e-40), "next to the middle");
  }
}

TEST(PageSpread, ThatIsTooSmallIsCaught) {
  for (const ResidualPattern& pattern : residual_patterns())
    for (const PageLevel level : {PageLevel::bits8, PageLevel::bits12}) {
      const ExactPage exact = page_of_residuals(64, level, pattern.at);
      const auto broken = [&](QuantizerFault fault) {
        return look(exact, reference::quantize_page(exact.key_rows(), exact.value_rows(), fault)).broken;
      };
      EXPECT_EQ(broken(QuantizerFault::none), "") << pattern.name;
      EXPECT_NE(broken(QuantizerFault::key_spread_truncated).find("key_spread"), std::string::npos) << pattern.name;
      EXPECT_NE(broken(QuantizerFault::value_spread_truncated).find("value_spread"), std::string::npos) << pattern.name;
    }
  for (const char* name : {"opposite halves", "orthogonal to the largest", "a ladder", "random"}) {
    const auto patterns = residual_patterns();
    const auto pattern =
        std::ranges::find_if(patterns, [=](const auto& of) { return of.name == std::string_view(name); });
    const ExactPage exact = page_of_residuals(64, PageLevel::bits8, pattern->at);
    EXPECT_NE(look(exact,
                   reference::quantize_page(exact.key_rows(), exact.value_rows(), QuantizerFault::spread_without_proof))
                  .broken,
              "")
        << name;
  }
}

TEST(PageSpread, ThatIsALotTooLargeIsSeen) {
  const auto patterns = residual_patterns();
  const auto random =
      std::ranges::find_if(patterns, [](const auto& of) { return of.name == std::string_view("random"); });
  const ExactPage exact = page_of_residuals(64, PageLevel::bits8, random->at);
  EXPECT_GT(look(exact, reference::quantize_page(exact.key_rows(), exact.value_rows())).slack, 1.0);
}

}  // namespace
}  // namespace mpp::kernels

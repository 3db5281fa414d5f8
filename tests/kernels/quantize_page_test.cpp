#include <limits>

#include <mpp/core/error.hpp>

#include "kernels/kv_scene.hpp"

namespace mpp::kernels {
namespace {

using reference::PagePromise;
using reference::QuantizerFault;

constexpr std::array types{KvType::float16, KvType::bfloat16};

PageBytes by_reference(const ExactPage& exact, QuantizerFault fault = QuantizerFault::none) {
  return reference::quantize_page(exact.key_rows(), exact.value_rows(), fault);
}
std::string broken_promise(const ExactPage& exact, const PageBytes& page) {
  const StoredRows keys = exact.key_rows(), values = exact.value_rows();
  return PagePromise(keys, values, page).broken();
}

class QuantizePageTest : public KernelTest {
 protected:
  static PageBytes run(const ExactPage& exact) { return DevicePage(context(), exact).to_host(); }
  static std::string message_for(const ExactPage& exact) {
    return message_of<ValueError>([&] { static_cast<void>(run(exact)); });
  }
};
MPP_ON_ALL_DEVICES(QuantizePageTest);

TEST_P(QuantizePageTest, WritesTheDocumentedCodesBitForBit) {
  for (const KvType type : types)
    for (const std::size_t head_dim : {32, 64, 96, 128, 256})
      for (const Family& family : families()) {
        const ExactPage exact = exact_page(type, head_dim, 11, family.sample, family.sample);
        const PageBytes page = run(exact), expected = by_reference(exact);
        const std::string where = text(family.name, ", head_dim ", head_dim, ", type ", static_cast<int>(type));
        for (std::size_t j = 0; j < head_dim; ++j)
          for (const auto factor :
               {PageBytes::key_step, PageBytes::key_zero, PageBytes::value_step, PageBytes::value_zero})
            ASSERT_EQ(reference::half_value(page.factor(factor, j)), reference::half_value(expected.factor(factor, j)))
                << where << ", factor " << factor << " of channel " << j;
        for (std::size_t p = 0; p < 3; ++p) ASSERT_EQ(page.key_planes[p], expected.key_planes[p]) << where;
        for (std::size_t p = 0; p < 2; ++p) ASSERT_EQ(page.value_planes[p], expected.value_planes[p]) << where;
      }
}

TEST_P(QuantizePageTest, KeepsHalfAStepAndCoversEveryNormByAMillionthAtMost) {
  double slack = 0.0;
  for (const KvType type : types)
    for (const std::size_t head_dim : {32, 96, 128, 256})
      for (const Family& family : families())
        for (unsigned seed = 1; seed <= 3; ++seed) {
          const ExactPage exact = exact_page(type, head_dim, seed, family.sample, family.sample);
          const PageBytes page = run(exact);
          const StoredRows keys = exact.key_rows(), values = exact.value_rows();
          PagePromise promise(keys, values, page);
          ASSERT_EQ(promise.broken(), "")
              << family.name << ", head_dim " << head_dim << ", type " << static_cast<int>(type) << ", seed " << seed;
          slack = std::max(slack, promise.slack());
        }
  RecordProperty("largest_slack", std::to_string(slack));
}

TEST_P(QuantizePageTest, KeepsItsPromiseWhereDifferencesOfBfloat16AreNotExact) {
  const Sampler sample = [](std::mt19937_64&, std::size_t i, std::size_t j) {
    return i % 3 == 0 ? -std::ldexp(1.0, static_cast<int>(j % 15)) : std::ldexp(i % 2 == 0 ? 1.0 : -1.0, -100);
  };
  const ExactPage exact = exact_page(KvType::bfloat16, 64, 1, sample, sample);
  EXPECT_EQ(broken_promise(exact, run(exact)), "");
}

TEST_P(QuantizePageTest, KnowsNothingOfKeysBeyondHalf) {
  for (const bool of_values : {false, true}) {
    ExactPage exact = exact_page(KvType::bfloat16, 64, 5, families()[0].sample, families()[0].sample);
    (of_values ? exact.values : exact.keys)[17 * 64 + 3] = stored(KvType::bfloat16, -1e30);
    const PageBytes page = run(exact);
    EXPECT_EQ(broken_promise(exact, page), "");
    const PageSummary summary = page.summary();
    EXPECT_EQ(std::isinf(summary.key_residual[1]), !of_values);
    EXPECT_EQ(std::isinf(summary.value_residual[1]), of_values);
    EXPECT_EQ(page.factor(of_values ? PageBytes::value_step : PageBytes::key_step, 3).bits, 0);
    EXPECT_EQ(page.factor(of_values ? PageBytes::value_zero : PageBytes::key_zero, 3).bits, 0);
  }
}

TEST_P(QuantizePageTest, LeavesTheGenerationAndPlanesThatAreNotWanted) {
  const ExactPage exact = exact_page(KvType::float16, 64, 6, families()[0].sample, families()[0].sample);
  DevicePage page(context(), exact, 77);
  EXPECT_EQ(page.to_host().summary().generation, 77U);
  const PageBytes before = page.to_host();
  PageToQuantize target = page.target();
  for (auto& plane : target.key_planes) plane = nullptr;
  for (auto& plane : target.value_planes) plane = nullptr;
  quantize_page(context(), KvType::float16, 64, std::array{target});
  EXPECT_EQ(page.to_host().metadata, before.metadata);
}

TEST_P(QuantizePageTest, PagesOfOneCallDoNotMixUp) {
  const ExactPage first = exact_page(KvType::float16, 96, 8, families()[0].sample, families()[1].sample);
  const ExactPage second = exact_page(KvType::float16, 96, 9, families()[1].sample, families()[0].sample);
  DevicePage a(context(), first), b(context(), first);
  DevicePage c(context(), second), d(context(), second);
  quantize_page(context(), KvType::float16, 96, std::array{a.target(), c.target()});
  EXPECT_EQ(a.to_host().metadata, b.to_host().metadata);
  EXPECT_EQ(c.to_host().metadata, d.to_host().metadata);
  EXPECT_EQ(c.to_host().key_planes, d.to_host().key_planes);
  quantize_page(context(), KvType::float16, 96, {});
}

TEST_P(QuantizePageTest, SummarizesAnOpenPageWithoutCodes) {
  for (const KvType type : types)
    for (const std::size_t tokens : {1, 2, 17, 63})
      for (const Family& family : families()) {
        const ExactPage exact = exact_page(type, 64, 3, family.sample, family.sample, tokens);
        const PageBytes page = run(exact);
        const PageSummary summary = page.summary();
        reference::Quad key_reach = 0, value_reach = 0;
        for (std::size_t i = 0; i < tokens; ++i) {
          key_reach = std::max(key_reach, exact.key_rows().square_norm(i));
          value_reach = std::max(value_reach, exact.value_rows().square_norm(i));
        }
        const auto covers = [](float told, reference::Quad square) {
          return reference::Quad{told} * told >= square &&
                 told <= std::sqrt(static_cast<double>(square)) * (1 + 1e-6) + 1e-44;
        };
        EXPECT_EQ(summary.tokens, tokens);
        EXPECT_EQ(summary.generation, 1U);
        EXPECT_TRUE(covers(summary.key_reach, key_reach)) << family.name << ": " << summary.key_reach;
        EXPECT_TRUE(covers(summary.value_reach, value_reach)) << family.name << ": " << summary.value_reach;
        EXPECT_EQ(summary.code_norm, 0.0F);
        for (const float residual : summary.key_residual) EXPECT_EQ(residual, 0.0F);
        for (const float residual : summary.value_residual) EXPECT_EQ(residual, 0.0F);
        for (const float spread : summary.key_spread) EXPECT_EQ(spread, 0.0F);
        for (const float spread : summary.value_spread) EXPECT_EQ(spread, 0.0F);
        for (std::size_t i = 0; i < page_tokens; ++i) {
          const double norm = i < tokens ? std::sqrt(static_cast<double>(exact.value_rows().square_norm(i))) : 0.0;
          EXPECT_NEAR(reference::half_value(page.value_norm(i)), norm / std::max(summary.value_reach, 1e-45F), 0x1p-11);
        }
      }
}

TEST_P(QuantizePageTest, NamesPageTokenAndChannelOfWhatIsNotANumber) {
  for (const KvType type : types) {
    const std::uint16_t infinity = type == KvType::float16 ? 0x7C00 : 0x7F80;
    for (const std::uint16_t bad : {infinity, static_cast<std::uint16_t>(infinity | 0x8001)})
      for (const bool of_values : {false, true}) {
        ExactPage exact = exact_page(type, 64, 7, families()[0].sample, families()[0].sample);
        (of_values ? exact.values : exact.keys)[31 * 64 + 17] = bad;
        const std::string message = message_for(exact);
        EXPECT_NE(message.find("page 0"), std::string::npos) << message;
        EXPECT_NE(message.find("token 31"), std::string::npos) << message;
        EXPECT_NE(message.find("channel 17"), std::string::npos) << message;
        EXPECT_NE(message.find(of_values ? "value" : "key"), std::string::npos) << message;
      }
  }
}

TEST_P(QuantizePageTest, RefusesShapesAndMissingMemory) {
  const ExactPage exact = exact_page(KvType::float16, 64, 7, families()[0].sample, families()[0].sample);
  DevicePage page(context(), exact);
  const auto refused = [&](std::size_t head_dim, const PageToQuantize& target) {
    return message_of<ShapeError>([&] { quantize_page(context(), KvType::float16, head_dim, std::array{target}); });
  };
  for (const std::size_t head_dim : {0, 16, 48, 288})
    EXPECT_NE(refused(head_dim, page.target()).find("head_dim"), std::string::npos);
  PageToQuantize target = page.target();
  target.metadata = nullptr;
  EXPECT_NE(refused(64, target), "no error");
  target = page.target();
  target.keys = nullptr;
  EXPECT_NE(refused(64, target), "no error");
  for (const std::size_t tokens : {0, 65})
    EXPECT_THROW(summarize_page(context(), KvType::float16, 64, page.target(), tokens), ShapeError);
}

TEST(QuantizePage, WritesTheSameBytesOnBothDevices) {
  if (!available(Device::cuda)) GTEST_SKIP() << "cuda: not built in, or no such device here";
  for (const KvType type : types)
    for (const std::size_t head_dim : {32, 96, 128, 256})
      for (const Family& family : families()) {
        const ExactPage exact = exact_page(type, head_dim, 12, family.sample, family.sample);
        const PageBytes here = DevicePage({.device = Device::cpu}, exact).to_host();
        const PageBytes there = DevicePage({.device = Device::cuda}, exact).to_host();
        EXPECT_EQ(here.metadata, there.metadata) << family.name << ", head_dim " << head_dim;
        EXPECT_EQ(here.key_planes, there.key_planes) << family.name << ", head_dim " << head_dim;
        EXPECT_EQ(here.value_planes, there.value_planes) << family.name << ", head_dim " << head_dim;
      }
}

TEST(QuantizePage, TheReferenceKeepsThePromiseThatTheTestsAboveCheck) {
  for (const KvType type : types)
    for (const Family& family : families()) {
      const ExactPage exact = exact_page(type, 64, 2, family.sample, family.sample);
      EXPECT_EQ(broken_promise(exact, by_reference(exact)), "") << family.name;
    }
}

TEST(QuantizePage, TheTestsAboveCatchEveryKnownMistake) {
  using enum QuantizerFault;
  for (const QuantizerFault fault :
       {zero_to_nearest, step_to_nearest, step_without_floor, code_to_nearest, residual_rounded_down,
        residual_from_float, residual_truncated, norm_rounded_down, value_residual_rounded_down, reach_without_codes}) {
    std::size_t caught = 0;
    for (const KvType type : types)
      for (const Family& family : families())
        for (unsigned seed = 1; seed <= 2; ++seed) {
          const ExactPage exact = exact_page(type, 64, seed, family.sample, family.sample);
          caught += broken_promise(exact, by_reference(exact, fault)).empty() ? 0 : 1;
        }
    EXPECT_GT(caught, 0U) << "fault " << static_cast<int>(fault);
  }
}

}  // namespace
}  // namespace mpp::kernels

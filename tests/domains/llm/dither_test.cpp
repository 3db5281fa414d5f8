#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <random>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include <mpp/core/error.hpp>
#include <mpp/llm/dithered_page.hpp>
#include <mpp/llm/independent_tokens.hpp>

#include "support/message_of.hpp"

namespace mpp::llm {
namespace {

using test::message_of;

constexpr DitherLevel levels[] = {DitherLevel::bits4, DitherLevel::bits8};

std::vector<float> gaussian(std::size_t n, std::uint64_t seed, float scale = 1.0F) {
  std::mt19937_64 engine(seed);
  std::normal_distribution<float> normal;
  std::vector<float> numbers(n);
  for (float& x : numbers) x = scale * normal(engine);
  return numbers;
}

TEST(DitheredPage, EveryNumberIsWithinHalfAStepAtEitherLevel) {
  std::vector<std::vector<float>> matrices{gaussian(64 * 32, 1), gaussian(64 * 32, 2, 1e-38F),
                                           gaussian(64 * 32, 3, 1e37F), std::vector<float>(64 * 32, 0.75F),
                                           std::vector<float>(64 * 32, 0.0F)};
  matrices[0][5] = 1e4F;  // an outlier in its channel
  matrices[2][9] = std::numeric_limits<float>::max();
  matrices[2][9 + 32] = -std::numeric_limits<float>::max();
  for (const std::vector<float>& numbers : matrices) {
    const DitheredPage page(numbers, 32, {{7, 8}, 9});
    ASSERT_EQ(page.tokens(), 64U);
    for (const DitherLevel level : levels)
      for (std::size_t i = 0; i < numbers.size(); ++i) {
        const double error = static_cast<double>(numbers[i]) - page.number(i / 32, i % 32, level);
        const double arithmetic = 0x1p-50 * page.reach(i % 32);
        ASSERT_LE(std::abs(error), 0.5 * page.step(i % 32, level) * (1.0 + 0x1p-30) + arithmetic) << i;
        ASSERT_LE(std::abs(static_cast<double>(numbers[i])), page.reach(i % 32));
      }
  }
}

TEST(DitheredPage, TheStepIsTheRangeOver240) {
  const DitheredPage page(std::vector<float>{-1.0F, 0.0F, 3.0F, 0.5F}, 1, {});
  EXPECT_NEAR(page.step(0, DitherLevel::bits8), 4.0 / 240.0, 1e-8);
  EXPECT_EQ(page.step(0, DitherLevel::bits4), 16.0 * page.step(0, DitherLevel::bits8));
}

TEST(DitheredPage, TheSameCounterGivesTheSameCodesAndAnotherOneOthers) {
  const std::vector<float> numbers = gaussian(64 * 8, 4);
  const DitheredPage a(numbers, 8, {{1, 2}, 3}), same(numbers, 8, {{1, 2}, 3}), other(numbers, 8, {{1, 2}, 4}),
      seed(numbers, 8, {{1, 3}, 3});
  std::size_t equal = 0;
  for (std::size_t i = 0; i < 64; ++i) {
    EXPECT_EQ(a.number(i, 0, DitherLevel::bits8), same.number(i, 0, DitherLevel::bits8));
    equal += a.number(i, 0, DitherLevel::bits8) == other.number(i, 0, DitherLevel::bits8) ? 1 : 0;
    equal += a.number(i, 0, DitherLevel::bits8) == seed.number(i, 0, DitherLevel::bits8) ? 1 : 0;
  }
  EXPECT_EQ(equal, 0U);
}

/// Largest distance between the distribution of errors, in steps, and the uniform one on [-1/2, 1/2] (Kolmogorov), for the worst
/// of a few numbers that a channel may have. Above 1.95 / sqrt(n) with a probability of 0.001.
using Error = std::function<double(double x, std::uint64_t seed)>;  // x in steps of 8 bits, of 240
double distance_from_uniform(const Error& error, std::size_t n) {
  double worst = 0.0;
  for (const double x : {0.0, 0.25, 7.9, 100.5, 239.99}) {
    std::vector<double> errors(n);
    for (std::size_t i = 0; i < n; ++i) errors[i] = error(x, i);
    std::sort(errors.begin(), errors.end());
    for (std::size_t i = 0; i < n; ++i) {
      const double expected = errors[i] + 0.5, step = static_cast<double>(n);
      worst = std::max({worst, std::abs(static_cast<double>(i) / step - expected),
                        std::abs(static_cast<double>(i + 1) / step - expected)});
    }
  }
  return worst;
}
Error dithered(DitherLevel level) {
  return [level](double x, std::uint64_t seed) {
    const std::vector<float> numbers{0.0F, 240.0F, static_cast<float>(x)};
    const DitheredPage page(numbers, 1, {{seed, 1}, 2});
    return (static_cast<double>(numbers[2]) - page.number(2, 0, level)) / page.step(0, level);
  };
}
/// Dithered by less than a step of 4 bits, as for codes of 8 bits alone.
double undithered_above(double x, std::uint64_t seed) {
  std::mt19937_64 engine(seed);
  const double dither = std::uniform_real_distribution<double>(0.0, 1.0)(engine);
  return (x - (16.0 * (std::floor((x + dither) / 16.0) + 0.5) - dither)) / 16.0;
}
TEST(DitheredPage, ErrorsAreUniformWhateverTheNumber) {
  constexpr std::size_t n = 20'000;
  const double limit = 2.5 / std::sqrt(static_cast<double>(n));
  for (const DitherLevel level : levels) EXPECT_LE(distance_from_uniform(dithered(level), n), limit);
  EXPECT_GT(distance_from_uniform(undithered_above, n), limit);
}
TEST(DitheredPage, ErrorsOfDifferentNumbersAreUncorrelated) {
  constexpr std::size_t n = 20'000;
  double of_tokens = 0.0, of_channels = 0.0;
  const std::vector<float> numbers{0.0F, 0.0F, 240.0F, 240.0F, 77.25F, 77.25F};
  for (std::uint64_t seed = 0; seed < n; ++seed) {
    const DitheredPage page(numbers, 2, {{seed, 5}, 6});
    const auto error = [&](std::size_t token, std::size_t channel) {
      return static_cast<double>(numbers[2 * token + channel]) - page.number(token, channel, DitherLevel::bits8);
    };
    of_tokens += error(0, 0) * error(2, 0);
    of_channels += error(2, 0) * error(2, 1);
  }
  const double limit = 4.0 / 12.0 / std::sqrt(static_cast<double>(n));  // four deviations of a mean of products
  EXPECT_LE(std::abs(of_tokens / static_cast<double>(n)), limit);
  EXPECT_LE(std::abs(of_channels / static_cast<double>(n)), limit);
}

TEST(DitheredPage, RefusesWhatHasNoCode) {
  std::vector<float> numbers(6, 1.0F);
  numbers[4] = std::numeric_limits<float>::quiet_NaN();
  const auto make = [&](std::size_t channels) { return [&, channels] { DitheredPage(numbers, channels, {}); }; };
  EXPECT_NE(message_of<ValueError>(make(3)).find("token 1, channel 1"), std::string::npos);
  EXPECT_NE(message_of<ShapeError>(make(4)).find("6 entries"), std::string::npos);
  EXPECT_NE(message_of<ShapeError>(make(0)).find("channels"), std::string::npos);
  numbers.clear();
  EXPECT_NE(message_of<ShapeError>(make(3)).find("0 entries"), std::string::npos);
}

static_assert(!std::is_default_constructible_v<IndependentTokens> &&
              !std::is_constructible_v<IndependentTokens, std::size_t>);

TEST(IndependentTokens, AreThoseGivenOrThoseOfTheExactLevel) {
  const std::vector<std::uint32_t> tokens{1, 2, 3}, drafted{1, 2, 4}, fewer{1, 2};
  EXPECT_EQ(IndependentTokens::teacher_forced(tokens).count(), 3U);
  EXPECT_EQ(IndependentTokens::verified(tokens, tokens).count(), 3U);
  const auto refused = [&](std::span<const std::uint32_t> released, std::span<const std::uint32_t> exact) {
    return message_of<ValueError>([&] { static_cast<void>(IndependentTokens::verified(released, exact)); });
  };
  EXPECT_NE(refused(drafted, tokens).find("token 2 was released as 4, that of the exact level is 3"),
            std::string::npos);
  EXPECT_NE(refused(fewer, tokens).find("2 tokens were released and 3"), std::string::npos);
  EXPECT_NE(refused({}, {}).find("no tokens"), std::string::npos);
  EXPECT_NE(message_of<ValueError>([] { static_cast<void>(IndependentTokens::teacher_forced({})); }).find("no tokens"),
            std::string::npos);
}

}  // namespace
}  // namespace mpp::llm

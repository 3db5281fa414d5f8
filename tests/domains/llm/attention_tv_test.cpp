#include <gtest/gtest.h>

#include "domains/llm/tv_forms.hpp"

namespace mpp::llm {
namespace {

TEST(AttentionTv, ClosedFormHoldsForEveryCacheWithinTheRadii) {
  EXPECT_EQ(violations(closed, {.cases = 1'000'000}), 0U);
  EXPECT_EQ(violations(closed, {.cases = 5'000, .most_tokens = 10}), 0U);
}
TEST(AttentionTv, ClosedFormHoldsWithOmittedPages) {
  EXPECT_EQ(violations(closed, {.cases = 200'000, .omit = true}), 0U);
}
TEST(AttentionTv, SupremumHoldsForEveryCacheWithinTheRadii) {
  EXPECT_EQ(violations(supremum, {.cases = 20'000}), 0U);
  EXPECT_EQ(violations(supremum, {.cases = 2'000, .most_tokens = 10}), 0U);
}
TEST(AttentionTv, SupremumHoldsWithOmittedPages) {
  EXPECT_EQ(violations(supremum, {.cases = 20'000, .omit = true}), 0U);
}

// The same function must see through bounds that are wrong, some of them by one rounding.
TEST(AttentionTv, TheTestsAboveCatchFalseForms) {
  const Trial few{.cases = 20'000};
  EXPECT_GT(violations(spread_form, few), 0U);
  EXPECT_GT(violations(averaged_before_the_exponential, few), 0U);
  EXPECT_GT(violations(variances_averaged, few), 0U);
  EXPECT_GT(violations(two_threshold_scan, few), 0U);
  EXPECT_GT(violations(tanh_to_nearest, few), 0U);
  EXPECT_GT(violations(set_form_of_first_order, few), 0U);
  EXPECT_GT(violations([](const AttentionCase& read) { return 0.97 * supremum(read); }, {.cases = 2'000}), 0U);
  EXPECT_GT(violations([](const AttentionCase& read) { return 0.999 * closed(read); }, few), 0U);
}
TEST(AttentionTv, TheTestsAboveCatchAFalseShareOfOmittedPages) {
  const Trial few{.cases = 20'000, .omit = true};
  EXPECT_GT(violations(without_omitted, few), 0U);
  EXPECT_GT(violations(omitted_beside_all_weight, few), 0U);
}

TEST(AttentionTv, NeverLooserThanTheFormsItReplaces) {
  AttentionCases source(7, 8);
  for (int i = 0; i < 100'000; ++i) {
    const AttentionCase read = source.next();
    if (largest_radius(read) > 700.0) continue;  // e^c overflows a double, and the bound is 1
    const double bound = closed(read), slack = 1.0 + 1e-13;
    const double zero = 1e-160;  // of the sums, rounded up below the normal numbers
    ASSERT_LE(bound, e_form(read) * slack + zero);
    ASSERT_LE(bound, tanh_form(read) * slack + zero);
    ASSERT_LE(bound, min3(read) * slack + zero);
    if (largest_radius(read) < 1.0) {  // k is taken as the root of 1 + the square of the mean of sinh(c)
      ASSERT_LE(bound, set_form(read, bound) * 1.1 + zero);
    }
    if (i % 50 == 0) {
      ASSERT_LE(supremum(read), bound);
    }
  }
}

// (1/2) sqrt(a2) g(a1/2) and a3 g(a1) are both loose where a page of little mass has a large radius.
TEST(AttentionTv, Min3CanBeLooserThanTheEForm) {
  AttentionCase read;
  read.tokens = {{0, 0.0, {}}, {1, std::log(1e-6), {}}};
  read.radius = {0.0, 4.0};
  read.residual = {0.0, 0.0};
  read.finish();
  EXPECT_GT(min3(read), 2.0 * e_form(read));
  EXPECT_LE(closed(read), e_form(read));
}

// With pages that may be cut anywhere, the least L for each t is a knapsack, and its optimum a bound from below.
TEST(AttentionTv, SupremumIsWithinOnePerCentOfWhatIsAttained) {
  std::mt19937_64 engine(3);
  std::uniform_real_distribution<double> uniform(0.0, 1.0);
  for (int i = 0; i < 40; ++i) {
    AttentionCase read;
    const std::size_t pages = 1 + static_cast<std::size_t>(40.0 * uniform(engine));
    const double sharp = 6.0 * uniform(engine), width = std::exp(4.0 * uniform(engine) - 4.0);
    for (std::size_t page = 0; page < pages; ++page) {
      read.tokens.push_back({page, sharp * uniform(engine), {}});
      read.radius.push_back(page == 0 ? 0.0 : width * (0.2 + uniform(engine)));
      read.residual.push_back(0.0);
    }
    read.finish();
    const double attained = attained_by_cutting(read);
    EXPECT_LE(attained, supremum(read) * (1.0 + 1e-12));
    EXPECT_LE(supremum(read), attained * 1.01 + 1e-12) << "closed form " << closed(read);
  }
}

// A part m of the mass is compressed, with one radius. To first order the truth is c (1 + m)^2 / 8 from m = 1/3 on, and the closed
// form c (m + sqrt(m)) / 4.
TEST(AttentionTv, ClosedFormIsWithinAnEighthOfTheSupremumWhateverPartIsCompressed) {
  for (const double m : {0.1, 0.25, 0.5, 0.75, 0.9, 1.0}) {
    AttentionCase read;
    read.tokens = {{0, std::log(m), {}}};
    if (m < 1.0) read.tokens.push_back({1, std::log(1.0 - m), {}});
    read.radius = {0.05, 0.0};
    read.residual = {0.0, 0.0};
    read.finish();
    EXPECT_LE(closed(read), 1.125 * supremum(read)) << m;
    EXPECT_NEAR(closed(read), std::min(0.05 * m, 0.0125 * (m + std::sqrt(m))), 0.003) << m;
  }
}

TEST(AttentionTv, TwoTokensAttainTheTangent) {
  for (const double c : {1e-6, 0.01, 0.3, 2.0, 20.0}) {
    AttentionCase read;
    read.tokens = {{0, 0.0, {}}, {0, c, {}}};
    read.radius = {c};
    read.residual = {0.0};
    read.finish();
    EXPECT_NEAR(closed(read), std::tanh(0.5 * c), 4e-15);
    EXPECT_NEAR(static_cast<double>(worst(read).tv), std::tanh(0.5 * c), 1e-15);
  }
}

}  // namespace
}  // namespace mpp::llm

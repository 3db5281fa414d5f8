#include <gtest/gtest.h>

#include <limits>

#include "domains/llm/tv_forms.hpp"

namespace mpp::llm {
namespace {

using OutputBound = std::function<double(const AttentionCase&)>;

double output(const AttentionCase& read) { return attention_output_bound(read.read()).error; }

std::size_t violations(const OutputBound& bound, std::size_t cases, bool omit, std::size_t most_tokens = 5) {
  AttentionCases source(2, most_tokens);
  std::size_t violated = 0;
  for (std::size_t i = 0; i < cases; ++i) {
    const AttentionCase read = source.next(omit);
    if (!(worst(read).error <= bound(read))) ++violated;
  }
  return violated;
}

TEST(AttentionOutput, HoldsForEveryCacheWithinTheRadii) {
  EXPECT_EQ(violations(output, 1'000'000, false), 0U);
  EXPECT_EQ(violations(output, 5'000, false, 10), 0U);
}
TEST(AttentionOutput, HoldsWithOmittedPages) { EXPECT_EQ(violations(output, 200'000, true), 0U); }

/// The forms in long double, with the parts that a false form leaves out as switches.
struct Parts {
  bool energy = true, kept = true, residual = true, mean_of_exact = true, mean_of_cosh = true, spread_of_cosh = true;
  long double rounding = 0.0L;  // relative error of the energy, which E - |o|^2 magnifies
};
struct Pages {
  long double square = 0.0L, residual = 0.0L, energy = 0.0L, kept = 0.0L, lift = 0.0L, lift_square = 0.0L;
  Pages(const AttentionCase& read, Parts parts) {
    for (const AttentionPage& page : read.pages) {
      const long double m = page.mass, c = page.radius;
      if (m == 0.0L) continue;
      const long double lifted = 2.0L * std::sinh(0.5L * c) * std::sinh(0.5L * c);  // cosh(c) - 1
      square += m * std::expm1(c) * std::expm1(c);
      residual += m * page.residual;
      energy += page.energy;
      kept += m * std::exp(-c);
      lift += m * lifted;
      lift_square += m * lifted * lifted;
    }
    if (!parts.energy) {  // the mean norm, squared
      long double mean = 0.0L;
      for (std::size_t i = 0; i < read.tokens.size(); ++i) mean += read.weight[i] * norm(read.tokens[i].value);
      energy = mean * mean;
    }
  }
  /// sqrt(sum p~|v|^2 - |sum p~ v|^2) at most
  long double deviation(const AttentionCase& read, Parts parts) const {
    const long double mean = std::max(0.0L, norm(read.output) - (parts.mean_of_exact ? residual : 0.0L));
    return std::sqrt(std::max(0.0L, energy - mean * mean) + parts.rounding * energy);
  }
};
double variance_form(const AttentionCase& read, Parts parts) {
  const Pages sums(read, parts);
  const long double moved = std::sqrt(sums.square) * sums.deviation(read, parts) / (parts.kept ? sums.kept : 1.0L);
  return static_cast<double>(moved + (parts.residual ? sums.residual : 0.0L));
}
double coupled_form(const AttentionCase& read, Parts parts) {
  const Pages sums(read, parts);
  const long double k = parts.mean_of_cosh ? sums.lift : 0.0L;
  const long double g2 = parts.spread_of_cosh ? std::max(0.0L, sums.lift_square - sums.lift * sums.lift) : 0.0L;
  if (g2 >= 1.0L) return std::numeric_limits<double>::infinity();
  const long double root = std::sqrt(k * (k + 2.0L) + g2);
  const long double moved = ((1.0L + k) * std::sqrt(g2) + root) / (1.0L - g2) * sums.deviation(read, parts);
  return static_cast<double>(moved + sums.residual);
}

TEST(AttentionOutput, NeverLooserThanTheVarianceFormOrTheCoupledForm) {
  AttentionCases source(5, 8);
  for (int i = 0; i < 100'000; ++i) {
    const AttentionCase read = source.next();
    if (largest_radius(read) > 100.0) continue;  // there the rounding of denormal masses counts
    const auto slack = [&](double form) { return (form + read.rounding.output) * (1.0 + 1e-9) + 1e-150; };
    ASSERT_LE(output(read), slack(variance_form(read, {.rounding = 0x1p-46L})));
    // The variance of cosh(c) is a difference, off by 2^-43 of the square of its mean, and 1 less that may be small.
    if (largest_radius(read) < 1.0) {
      ASSERT_LE(output(read), slack(coupled_form(read, {.rounding = 0x1p-46L})) * (1.0 + 1e-5));
    }
  }
}
TEST(AttentionOutput, TheTestsAboveCatchFalseForms) {
  const auto variance = [](Parts parts) {
    return [parts](const AttentionCase& read) { return variance_form(read, parts); };
  };
  const auto coupled = [](Parts parts) {
    return [parts](const AttentionCase& read) { return coupled_form(read, parts); };
  };
  EXPECT_GT(violations(variance({.energy = false}), 20'000, false), 0U);
  EXPECT_GT(violations(variance({.kept = false}), 20'000, false), 0U);
  EXPECT_GT(violations(variance({.residual = false}), 20'000, false), 0U);
  EXPECT_GT(violations(variance({.mean_of_exact = false}), 20'000, false), 0U);
  EXPECT_GT(violations(coupled({.mean_of_exact = false}), 20'000, false), 0U);
  EXPECT_GT(violations(coupled({.mean_of_cosh = false}), 20'000, false), 0U);
  EXPECT_GT(violations(coupled({.spread_of_cosh = false}), 20'000, false), 0U);
  EXPECT_GT(violations([](const AttentionCase& read) { return 0.99 * output(read); }, 20'000, false), 0U);
  const auto kept_only = [](AttentionCase read) {
    read.omitted.clear();
    return output(read);
  };
  EXPECT_GT(violations(kept_only, 20'000, true), 0U);
}

// Two tokens of different value, weights changed by e^c one way: the coupled form is attained.
TEST(AttentionOutput, TwoTokensAttainTheCoupledForm) {
  for (const double c : {1e-3, 0.1, 0.5, 1.0}) {
    AttentionCase read;
    read.tokens = {{0, 2.0 * c, {0.0L, 0.0L}}, {0, 0.0, {1.0L, 0.0L}}};
    read.radius = {c};
    read.residual = {0.0};
    read.finish();
    EXPECT_NEAR(output(read) / static_cast<double>(worst(read).error), 1.0, 1e-6) << c;
  }
}

// 3 % of the mass is compressed: page by page the error is in proportion to that mass, by variance to its root.
TEST(AttentionOutput, LittleCompressedMassCostsLittle) {
  AttentionCase read;
  for (std::size_t i = 0; i < 4; ++i) read.tokens.push_back({0, 0.0, {i < 2 ? 1.0L : -1.0L, 0.0L}});
  read.tokens.push_back({1, std::log(0.03 * 4.0), {1.0L, 0.0L}});
  read.radius = {0.0, 0.1};
  read.residual = {0.0, 0.0};
  read.finish();
  EXPECT_LT(output(read), 0.3 * variance_form(read, {}));
}

TEST(AttentionOutput, RelativeToTheRootMeanSquareOfTheValues) {
  AttentionCase read;
  read.tokens = {{0, 0.0, {3.0L, 4.0L}}, {0, 0.0, {-3.0L, -4.0L}}};
  read.radius = {0.1};
  read.residual = {0.25};
  read.finish();
  const AttentionOutputBound bound = attention_output_bound(read.read());
  EXPECT_NEAR(bound.relative, bound.error / 5.0, 1e-14);
  // by hand: sum p~ v = 0, so sinh(c) 5 for the weights, and the residual is 0.25
  EXPECT_NEAR(bound.error, 5.0 * std::sinh(0.1) + 0.25, 1e-6);
}

TEST(AttentionOutput, ExactPagesHaveNoError) {
  AttentionCase read;
  read.tokens = {{0, 0.0, {1.0L, 0.0L}}, {1, 1.0, {0.0L, 1.0L}}};
  read.radius = {0.0, 0.0};
  read.residual = {0.0, 0.0};
  read.finish();
  read.rounding.output = 0.0;
  const AttentionOutputBound bound = attention_output_bound(read.read());
  EXPECT_EQ(bound.error, 0.0);
  EXPECT_EQ(bound.relative, 0.0);
  EXPECT_EQ(attention_tv_bound(read.read()), 0.0);
  EXPECT_EQ(attention_tv_supremum(read.read()), 0.0);
}

}  // namespace
}  // namespace mpp::llm

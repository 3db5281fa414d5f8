#include <gtest/gtest.h>

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

/// The variance form in long double, with the parts that a false form leaves out as switches.
struct Parts {
  bool energy = true, kept = true, factor = true, residual = true;
  long double rounding = 0.0L;  // relative error of the energy, which E - |o|^2 magnifies
};
double variance_form(const AttentionCase& read, Parts parts) {
  long double square = 0.0L, residual = 0.0L, energy = 0.0L, kept = 0.0L;
  for (const AttentionPage& page : read.pages) {
    const long double m = page.mass, c = page.radius;
    if (m == 0.0L) continue;
    square += m * std::expm1(c) * std::expm1(c);
    residual += m * page.residual * (parts.factor ? std::exp(c) : 1.0L);
    energy += page.energy;
    kept += m * std::exp(-c);
  }
  if (!parts.energy) {  // the mean norm, squared
    long double mean = 0.0L;
    for (std::size_t i = 0; i < read.tokens.size(); ++i) mean += read.weight[i] * norm(read.tokens[i].value);
    energy = mean * mean;
  }
  const long double variance = std::max(0.0L, energy - norm(read.output) * norm(read.output)) + parts.rounding * energy;
  const long double sum = std::sqrt(square * variance) + (parts.residual ? residual : 0.0L);
  return static_cast<double>(sum / (parts.kept ? kept : 1.0L));
}

TEST(AttentionOutput, NeverLooserThanTheVarianceForm) {
  AttentionCases source(5, 8);
  for (int i = 0; i < 100'000; ++i) {
    const AttentionCase read = source.next();
    if (largest_radius(read) > 100.0) continue;  // there the rounding of denormal masses counts
    ASSERT_LE(output(read),
              (variance_form(read, {.rounding = 0x1p-46L}) + read.rounding.output) * (1.0 + 1e-9) + 1e-150);
  }
}
TEST(AttentionOutput, TheTestsAboveCatchFalseForms) {
  const auto form = [](Parts parts) {
    return [parts](const AttentionCase& read) { return variance_form(read, parts); };
  };
  EXPECT_GT(violations(form({.energy = false}), 20'000, false), 0U);
  EXPECT_GT(violations(form({.kept = false}), 20'000, false), 0U);
  EXPECT_GT(violations(form({.factor = false}), 20'000, false), 0U);
  EXPECT_GT(violations(form({.residual = false}), 20'000, false), 0U);
  const auto kept_only = [](AttentionCase read) {
    read.omitted.clear();
    return output(read);
  };
  EXPECT_GT(violations(kept_only, 20'000, true), 0U);
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
  // by hand: o~ = 0, so (e^c - 1) e^c 5 for the weights, and the residual is at most 0.25
  EXPECT_NEAR(bound.error, 5.0 * std::expm1(0.1) * std::exp(0.1) + 0.25, 1e-12);
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

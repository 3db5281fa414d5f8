#include <gtest/gtest.h>

#include "domains/llm/spread_forms.hpp"
#include "mpp/core/error.hpp"

namespace mpp::llm {
namespace {

constexpr SpreadForm all_forms[] = {SpreadForm::t1, SpreadForm::t3, SpreadForm::t4, SpreadForm::t5,
                                    SpreadForm::o1, SpreadForm::o2, SpreadForm::o3};

struct Trial {
  std::size_t cases;
  std::size_t most_tokens = 5;
  bool omit = false;
};

/// Caches that the radii and spreads of a case allow and a bound does not.
std::size_t violations(Trial trial) {
  AttentionCases source(21, trial.most_tokens);
  std::size_t violated = 0;
  for (std::size_t i = 0; i < trial.cases; ++i) {
    const AttentionCase read = source.next_together(trial.omit);
    const Realised found = worst_together(read);
    bool fine = found.tv <= attention_tv_bound(read.read()) && found.error <= attention_output_bound(read.read()).error;
    if (i % 16 == 0) fine = fine && found.tv <= attention_tv_supremum(read.read());
    violated += fine ? 0 : 1;
  }
  return violated;
}
TEST(AttentionSpread, HoldsForTheWorstCacheThatIsFound) {
  EXPECT_EQ(violations({.cases = 40'000}), 0U);
  EXPECT_EQ(violations({.cases = 2'000, .most_tokens = 10}), 0U);
}
TEST(AttentionSpread, HoldsWithOmittedPages) { EXPECT_EQ(violations({.cases = 20'000, .omit = true}), 0U); }

std::size_t violations(SpreadForm form, SpreadFault fault, std::size_t cases) {
  AttentionCases source(3);
  std::size_t violated = 0;
  for (std::size_t i = 0; i < cases; ++i) {
    const AttentionCase read = source.next_together();
    try {
      const Judged one = judged(form, read, fault);
      if (!(one.truth <= one.bound)) ++violated;
    } catch (const ValueError&) {  // an output longer than its energy allows
      ++violated;
    }
  }
  return violated;
}
TEST(AttentionSpread, EachFormHoldsAlone) {
  for (const SpreadForm form : all_forms)
    EXPECT_EQ(violations(form, SpreadFault::none, 6'000), 0U) << static_cast<int>(form);
}
TEST(AttentionSpread, TheTestAboveCatchesFalseForms) {
  for (const SpreadForm form : all_forms)
    for (const SpreadFault fault : {SpreadFault::ratio_squared, SpreadFault::tokens_alike})
      EXPECT_GT(violations(form, fault, 1'000), 0U) << static_cast<int>(form) << ' ' << static_cast<int>(fault);
  for (const SpreadForm form : {SpreadForm::o1, SpreadForm::o2, SpreadForm::o3})
    EXPECT_GT(violations(form, SpreadFault::value_over_mass, 1'000), 0U) << static_cast<int>(form);
}

/// T5 of spreads if the mean of sinh is f.
long double set_form(const kernels::CertificateSums& sums, long double f, long double most) {
  const long double rise = 2.0L * sums.spread_lift_square + 4.0L * sums.spread_lift;
  const long double apart = std::sqrt(static_cast<long double>(sums.spread_cosh_square));
  const long double square = rise * (rise + 2.0L) + sums.spread_cosh_square, root = std::sqrt(square);
  const long double slope = std::sqrt(0.5L * root * std::max(0.0L, root - f));
  const long double k = std::sqrt(1.0L + f * f), spread = std::sqrt(std::max(0.0L, square - f * f));
  return std::max((0.25L * (f + root) + 0.5L * apart) / (k - slope - root * most),
                  0.5L * (f + apart) / (k - spread - 2.0L * f * most));
}
// The mean of sinh is known from above only, and T5 does not always grow with it.
TEST(AttentionSpread, T5HoldsWhereverTheMeanOfSinhIs) {
  AttentionCases source(3);
  std::size_t falls = 0;
  for (const double g : {0.0005, 0.002, 0.005, 0.01})
    for (const double part : {0.0, 0.5, 0.9, 0.99, 1.0}) {
      // Such a g is far from any read: it keeps T4 out of the way.
      kernels::CertificateSums sums = alone(SpreadForm::t5, source.next_together(), SpreadFault::none);
      sums.spread_lift = 0.0, sums.spread_lift_square = g, sums.spread_cosh_square = 0.0;
      sums.spread_sinh = part * std::sqrt(2.0 * g * (2.0 * g + 2.0));
      const long double most = 2.0L * std::sqrt(static_cast<long double>(g)) / (1.0L + g);  // T4
      long double largest = 0.0L;
      for (int i = 0; i <= 1000; ++i) largest = std::max(largest, set_form(sums, sums.spread_sinh * i / 1000.0L, most));
      ASSERT_LT(largest, most);
      const double bound = certify(sums, 0.0).attention_tv;
      EXPECT_GE(bound, largest * (1.0L - 1e-12L)) << g << ' ' << part;
      EXPECT_LE(bound, largest * (1.0L + 0.5L * sums.spread_sinh + 1e-12L)) << g << ' ' << part;
      falls += set_form(sums, sums.spread_sinh, most) < 0.999L * largest ? 1 : 0;
    }
  EXPECT_GT(falls, 0U) << "the form of the largest mean alone must be caught";
}

/// Equal tokens in pages of one radius, all of the spread used in the same way.
AttentionCase alike(std::size_t tokens, double radius, double used) {
  AttentionCase read;
  for (std::size_t i = 0; i < tokens; ++i) read.tokens.push_back({0, 0.0, {i % 2 == 0 ? 1.0L : -1.0L, 0.0L}});
  read.radius = {radius};
  read.residual = {radius};
  read.spread = read.value_spread = {used * std::sqrt(static_cast<double>(tokens))};
  read.finish();
  return read;
}
TEST(AttentionSpread, IsAttainedWhereAllTokensErrAlike) {
  const AttentionCase read = alike(4, 0.05, 0.02);
  const Realised found = worst_together(read);
  EXPECT_NEAR(static_cast<double>(found.tv), 0.5 * std::tanh(0.02), 1e-12);
  EXPECT_LE(attention_tv_bound(read.read()), 1.03 * static_cast<double>(found.tv));
  EXPECT_NEAR(static_cast<double>(found.error), std::tanh(0.02) + 0.02, 1e-3);
  EXPECT_LE(attention_output_bound(read.read()).error, 1.03 * static_cast<double>(found.error));
  EXPECT_GE(attention_tv_bound(alike(4, 0.05, 1.0).read()), std::tanh(0.025));
}
// One token weighs nearly all of its page: it alone may use the spread, and the others do not help.
TEST(AttentionSpread, AHeavyTokenMayUseAllOfIt) {
  AttentionCase read;
  read.tokens = {{0, 0.0, {}}, {1, 0.0, {}}};
  for (int i = 0; i < 8; ++i) read.tokens.push_back({1, -9.0, {}});
  read.radius = {0.0, 0.3};
  read.residual = {0.0, 0.0};
  read.spread = {0.0, 0.2};
  read.finish();
  EXPECT_GE(static_cast<double>(worst_together(read).tv), 0.999 * 0.5 * std::tanh(0.1));
  EXPECT_GE(attention_tv_bound(read.read()), worst_together(read).tv);
  read.pages[1].heaviest /= 9.0;
  EXPECT_LT(attention_tv_bound(read.read()), worst_together(read).tv) << "a false weight must be caught";
}

TEST(AttentionSpread, UnknownIsAsIfEachErredByAllOfTheRadius) {
  AttentionCases source(8, 8);
  for (int i = 0; i < 20'000; ++i) {
    AttentionCase read = source.next(i % 3 == 0);
    const double tv = attention_tv_bound(read.read()), error = attention_output_bound(read.read()).error;
    for (AttentionPage& page : read.pages) {
      page.spread = page.radius * 3.0, page.value_spread = page.residual * 3.0;  // 8 tokens at most
    }
    ASSERT_EQ(attention_tv_bound(read.read()), tv);
    ASSERT_EQ(attention_output_bound(read.read()).error, error);
  }
}
TEST(AttentionSpread, ASmallerOneNeverMakesTheCertificateLarger) {
  AttentionCases source(9, 8);
  for (int i = 0; i < 20'000; ++i) {
    AttentionCase read = source.next_together(i % 3 == 0);
    for (AttentionPage& page : read.pages) page.value_spread *= 3.0;  // the output tells what they really lost
    for (const double factor : {0.99, 0.7, 0.5, 0.1, 1e-3}) {
      const double tv = attention_tv_bound(read.read()), error = attention_output_bound(read.read()).error;
      for (AttentionPage& page : read.pages) {
        page.spread *= factor;
        if (factor >= 0.5) page.value_spread *= factor;
      }
      ASSERT_LE(attention_tv_bound(read.read()), tv * (1.0 + 1e-12)) << i << ' ' << factor;
      ASSERT_LE(attention_output_bound(read.read()).error, error * (1.0 + 1e-12)) << i << ' ' << factor;
    }
  }
}

}  // namespace
}  // namespace mpp::llm

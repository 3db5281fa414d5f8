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

/// T5 of the means of a case if the mean of sinh is `f`; `least` in what falls with it.
double set_form(const SpreadSums& of, long double f, long double least, long double most) {
  const long double rise = 2.0L * of.lift_square + 4.0L * of.lift;
  const long double root = std::sqrt(rise * (rise + 2.0L) + of.cosh_square), apart = std::sqrt(of.cosh_square);
  const long double slope = std::sqrt(0.5L * root * std::max(0.0L, root - least)), k = std::sqrt(1.0L + least * least);
  const long double cut = k - slope - root * most;
  const long double middle = k - std::sqrt(std::max(0.0L, root * root - least * least)) - 2.0L * f * most;
  if (root >= 1.0L || f >= 1.0L || cut <= 0.0L || middle <= 0.0L) return 1.0;
  return static_cast<double>(std::max((0.25L * (f + root) + 0.5L * apart) / cut, 0.5L * (f + apart) / middle));
}
// The mean of sinh is known from above only, and T5 need not grow with it.
TEST(AttentionSpread, T5HoldsWhereverTheMeanOfSinhIs) {
  AttentionCases source(5);
  std::size_t compared = 0, twin_violated = 0;
  for (int i = 0; i < 40'000; ++i) {
    const AttentionCase read = source.next_together();
    const SpreadSums of(read);
    const double most = std::min(1.0, static_cast<double>(of.excess) + 1e-300);
    kernels::CertificateSums sums = alone(SpreadForm::t5, read, SpreadFault::none, most);
    const double t4 = certify(alone(SpreadForm::t4, read, SpreadFault::none), 0.0).attention_tv;
    double largest = 0.0;
    for (int k = 0; k <= 400; ++k) {
      const long double f = of.sinh * k / 400.0L;
      largest = std::max(largest, set_form(of, f, f, std::min(most, t4)));
    }
    if (largest >= std::min(most, t4) || largest < 1e-100) continue;  // another form is the smallest
    ++compared;
    ASSERT_GE(certify(sums, 0.0).attention_tv, largest * (1.0 - 1e-12));
    // 16 intervals cost 18 % of the mean at most, as v is up to a sixth of s more
    ASSERT_LE(certify(sums, 0.0).attention_tv, largest * (1.0 + 0.5 * static_cast<double>(of.sinh) + 1e-9));
    twin_violated += set_form(of, of.sinh, of.sinh, std::min(most, t4)) < largest * (1.0 - 1e-12) ? 1 : 0;
  }
  EXPECT_GT(compared, 500U);
  EXPECT_GT(twin_violated, 0U) << "the form at the largest mean alone must be caught";
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

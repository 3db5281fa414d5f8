#include <gtest/gtest.h>

#include <limits>

#include "domains/llm/spread_adversary.hpp"
#include "mpp/core/error.hpp"

namespace mpp::llm {
namespace {

constexpr double inf = std::numeric_limits<double>::infinity(), nan = std::numeric_limits<double>::quiet_NaN();

AttentionCase two_pages(double small = 0.25, double radius = 0.1) {
  AttentionCase read;
  read.tokens = {{0, std::log(1.0 - small), {1.0L, 0.0L}}, {1, std::log(small), {-1.0L, 0.5L}}};
  read.radius = {0.0, radius};
  read.residual = {0.0, 0.0};
  read.finish();
  return read;
}

/// Reads whose every number is off as far as a kernel in single precision may be, one way or the other; a bound below the
/// truth counts. `told`: whether the read says so.
std::size_t violations_with_a_rough_kernel(bool told, std::size_t cases) {
  AttentionCases source(11);
  std::mt19937_64 engine(12);
  const double eta = 1e-4;
  const auto off = [&](double size) { return (engine() & 1U) != 0 ? size : -size; };
  std::size_t violated = 0;
  for (std::size_t i = 0; i < cases; ++i) {
    const bool together = i % 16 == 15;
    AttentionCase made = together ? source.next_together(i % 32 == 15) : source.next(i % 2 == 0);
    const Realised truth = together ? worst_together(made) : worst(made);
    for (AttentionPage& page : made.pages) {
      page.mass *= 1.0 + off(0.999 * eta);
      page.energy *= 1.0 + off(0.999 * eta);
    }
    made.rounding.mass.relative = made.rounding.energy.relative = eta;
    AttentionRead read = made.read();
    const double lost = 1e-4 * read.output_norm;
    read.log_sum_exp += off(1e-4);
    read.output_norm += off(0.999 * lost);
    if (told) {
      read.rounding.log_sum_exp += 1e-4;
      read.rounding.output += lost;
    } else {  // the masses keep theirs, as reads whose masses do not add up are refused
      read.rounding.energy.relative = 0x1p-52;
    }
    try {
      if (!(truth.tv <= attention_tv_bound(read) && truth.error <= attention_output_bound(read).error)) ++violated;
      if (i % 100 == 0 && !(truth.tv <= attention_tv_supremum(read))) ++violated;
    } catch (const ValueError&) {
      EXPECT_FALSE(told);  // an output longer than its energy allows
    }
  }
  return violated;
}
TEST(AttentionRead, HoldsForARoughKernelThatSaysSo) {
  EXPECT_EQ(violations_with_a_rough_kernel(true, 200'000), 0U);
  EXPECT_GT(violations_with_a_rough_kernel(false, 20'000), 0U);
}

// The kernel's mass of the compressed page is too small by its relative error, the other page takes the rest.
TEST(AttentionRead, ARelativeErrorOfTheMassesIsCovered) {
  const double eta = 1e-3;
  AttentionCase read = two_pages(1e-6);
  const double moved = eta * read.pages[1].mass;
  read.pages[0].mass += moved;
  read.pages[1].mass -= moved;
  read.pages[1].energy *= 1.0 - eta;
  EXPECT_LT(attention_tv_bound(read.read()), worst(read).tv) << "a bound that ignores the error must be caught";
  EXPECT_LT(attention_tv_supremum(read.read()), worst(read).tv);
  read.rounding.mass.relative = read.rounding.energy.relative = 1.001 * eta;
  EXPECT_GE(attention_tv_bound(read.read()), worst(read).tv);
  EXPECT_GE(attention_tv_supremum(read.read()), worst(read).tv);
  EXPECT_GE(attention_output_bound(read.read()).error, worst(read).error);
}

// A mass flushed to zero: only the absolute part of the error says that the page exists.
TEST(AttentionRead, AMassFlushedToZeroIsCovered) {
  AttentionCase read = two_pages(1e-40, 80.0);
  read.pages[1].mass = 0.0;
  EXPECT_LT(attention_tv_bound(read.read()), worst(read).tv) << "a bound that ignores the error must be caught";
  read.rounding.mass.absolute = 0x1p-126;
  EXPECT_GE(attention_tv_bound(read.read()), worst(read).tv);
}

TEST(AttentionRead, AnErrorOfTheLogSumExpIsCovered) {
  AttentionCase read = two_pages(0.25, 0.0);
  read.omitted = {{10, static_cast<double>(read.log_sum_exp) - 6.0, 1.0}};
  AttentionRead reported = read.read();
  reported.log_sum_exp += 1e-5;
  EXPECT_LT(attention_tv_bound(reported), worst(read).tv) << "a bound that ignores the error must be caught";
  reported.rounding.log_sum_exp = 1.001e-5;
  EXPECT_GE(attention_tv_bound(reported), worst(read).tv);
}

TEST(AttentionRead, TheErrorOfTheOutputIsAdded) {
  AttentionCase read = two_pages();
  const double before = attention_output_bound(read.read()).error;
  read.rounding.output += 0.125;
  EXPECT_GE(attention_output_bound(read.read()).error, before + 0.125);
}

TEST(AttentionRead, WhatIsUnknownCertifiesNothing) {
  AttentionCase read = two_pages();
  read.pages[1].radius = inf;
  EXPECT_EQ(attention_tv_bound(read.read()), 1.0);
  EXPECT_EQ(attention_tv_supremum(read.read()), 1.0);
  EXPECT_EQ(attention_output_bound(read.read()).error, inf);
  EXPECT_EQ(attention_output_bound(read.read()).relative, inf);
  read.pages[1].mass = 0.0;  // a logit of minus infinity that may be anything
  read.pages[0].mass = 1.0;
  EXPECT_EQ(attention_tv_bound(read.read()), 1.0);
  EXPECT_EQ(attention_output_bound(read.read()).error, inf);

  read = two_pages();
  read.pages[1].residual = inf;
  EXPECT_EQ(attention_output_bound(read.read()).error, inf);

  read = two_pages();
  read.omitted = {{1, inf, 2.0}};
  EXPECT_EQ(attention_tv_bound(read.read()), 1.0);
  EXPECT_EQ(attention_tv_supremum(read.read()), 1.0);
  EXPECT_GE(attention_output_bound(read.read()).error, 2.0);
}
TEST(AttentionRead, OverflowIsOneOrInfinity) {
  for (const double radius : {600.0, 709.0, 710.0, 1e300}) {
    const AttentionCase read = two_pages(0.25, radius);
    EXPECT_LE(attention_tv_bound(read.read()), 1.0);
    EXPECT_GT(attention_tv_supremum(read.read()), 0.7);
    EXPECT_GE(attention_output_bound(read.read()).error, 0.5);
  }
}
TEST(AttentionRead, OmittedPagesWithoutWeightCostNothing) {
  AttentionCase read = two_pages();
  const double tv = attention_tv_bound(read.read()), error = attention_output_bound(read.read()).error;
  read.omitted = {{64, -inf, 9.0}, {0, 3.0, 9.0}};
  EXPECT_EQ(attention_tv_bound(read.read()), tv);
  EXPECT_EQ(attention_output_bound(read.read()).error, error);
}

template <class Change>
void expect_refused(Change&& change, const std::string& field) {
  AttentionCase made = two_pages();
  made.omitted = {{1, -9.0, 1.0}};
  AttentionRead read = made.read();
  change(made, read);
  for (int call = 0; call < 3; ++call) {
    try {
      if (call == 0) static_cast<void>(attention_tv_bound(read));
      if (call == 1) static_cast<void>(attention_tv_supremum(read));
      if (call == 2) static_cast<void>(attention_output_bound(read));
      ADD_FAILURE() << field << " was accepted by call " << call;
    } catch (const ValueError& error) {
      EXPECT_NE(std::string(error.what()).find(field), std::string::npos) << error.what();
      EXPECT_NE(std::string(error.what()).find("expected"), std::string::npos) << error.what();
    }
  }
}

TEST(AttentionRead, RefusesWhatCannotBeANumberOfARead) {
  for (const double bad : {nan, -1e-9}) {
    expect_refused([&](AttentionCase& c, AttentionRead&) { c.pages[1].mass = bad; }, "pages[1].mass");
    expect_refused([&](AttentionCase& c, AttentionRead&) { c.pages[1].radius = bad; }, "pages[1].radius");
    expect_refused([&](AttentionCase& c, AttentionRead&) { c.pages[0].energy = bad; }, "pages[0].energy");
    expect_refused([&](AttentionCase& c, AttentionRead&) { c.pages[0].residual = bad; }, "pages[0].residual");
    expect_refused([&](AttentionCase& c, AttentionRead&) { c.pages[1].spread = bad; }, "pages[1].spread");
    expect_refused([&](AttentionCase& c, AttentionRead&) { c.pages[1].value_spread = bad; }, "pages[1].value_spread");
    expect_refused([&](AttentionCase& c, AttentionRead&) { c.pages[0].heaviest = bad; }, "pages[0].heaviest");
    expect_refused([&](AttentionCase& c, AttentionRead&) { c.omitted[0].value_norm = bad; }, "omitted[0].value_norm");
    expect_refused([&](AttentionCase&, AttentionRead& r) { r.output_norm = bad; }, "output_norm");
    expect_refused([&](AttentionCase&, AttentionRead& r) { r.rounding.mass.relative = bad; }, "mass.relative");
    expect_refused([&](AttentionCase&, AttentionRead& r) { r.rounding.mass.absolute = bad; }, "mass.absolute");
    expect_refused([&](AttentionCase&, AttentionRead& r) { r.rounding.energy.relative = bad; }, "energy.relative");
    expect_refused([&](AttentionCase&, AttentionRead& r) { r.rounding.energy.absolute = bad; }, "energy.absolute");
    expect_refused([&](AttentionCase&, AttentionRead& r) { r.rounding.log_sum_exp = bad; }, "rounding.log_sum_exp");
    expect_refused([&](AttentionCase&, AttentionRead& r) { r.rounding.output = bad; }, "rounding.output");
  }
  expect_refused([&](AttentionCase& c, AttentionRead&) { c.omitted[0].logit = nan; }, "omitted[0].logit");
  expect_refused([&](AttentionCase&, AttentionRead& r) { r.log_sum_exp = inf; }, "log_sum_exp");
  expect_refused([&](AttentionCase& c, AttentionRead&) { c.pages[0].mass = inf; }, "pages[0].mass");
  expect_refused([&](AttentionCase&, AttentionRead& r) { r.pages = {}; }, "pages is empty");
}
TEST(AttentionRead, RefusesNumbersOfDifferentReads) {
  expect_refused([&](AttentionCase& c, AttentionRead&) { c.pages[0].mass = 0.7; }, "masses");
  expect_refused([&](AttentionCase& c, AttentionRead&) { c.pages[0].mass = 0.8; }, "masses");
  expect_refused([&](AttentionCase& c, AttentionRead&) { c.pages[1].heaviest = 0.0; }, "pages[1].heaviest");
  AttentionCase read = two_pages();
  read.pages[1].energy = 0.25;  // the output is (0.5, 0.125)
  read.pages[0].energy = 0.0;
  EXPECT_THROW(static_cast<void>(attention_output_bound(read.read())), ValueError);
}

}  // namespace
}  // namespace mpp::llm

#include <gtest/gtest.h>

#include <functional>

#include "domains/llm/attention_case.hpp"

namespace mpp::llm {
namespace {

using TvBound = std::function<double(const AttentionCase&)>;

double closed(const AttentionCase& read) { return attention_tv_bound(read.read()); }
double supremum(const AttentionCase& read) { return attention_tv_supremum(read.read()); }

std::size_t violations(const TvBound& bound, std::size_t cases, bool omit, std::size_t most_tokens = 5,
                       std::uint64_t seed = 1) {
  AttentionCases source(seed, most_tokens);
  std::size_t violated = 0;
  for (std::size_t i = 0; i < cases; ++i) {
    const AttentionCase read = source.next(omit);
    const double limit = bound(read);
    if (!(worst(read).tv <= limit && limit <= 1.0)) ++violated;
  }
  return violated;
}

TEST(AttentionTv, ClosedFormHoldsForEveryCacheWithinTheRadii) {
  EXPECT_EQ(violations(closed, 1'000'000, false), 0U);
  EXPECT_EQ(violations(closed, 5'000, false, 10), 0U);
}
TEST(AttentionTv, ClosedFormHoldsWithOmittedPages) { EXPECT_EQ(violations(closed, 200'000, true), 0U); }

TEST(AttentionTv, SupremumHoldsForEveryCacheWithinTheRadii) {
  EXPECT_EQ(violations(supremum, 20'000, false), 0U);
  EXPECT_EQ(violations(supremum, 2'000, false, 10), 0U);
}
TEST(AttentionTv, SupremumHoldsWithOmittedPages) { EXPECT_EQ(violations(supremum, 20'000, true), 0U); }

}  // namespace
}  // namespace mpp::llm

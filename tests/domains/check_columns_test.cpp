#include <gtest/gtest.h>

#include <string>

#include "domains/pool_samples.hpp"

namespace mpp::ranking {
namespace {

using namespace mpp::test;

std::string refusal(const PoolColumns& columns) {
  try {
    const Pool pool(columns);
  } catch (const FormatError& error) {
    return error.what();
  }
  return "";
}

TEST(PoolColumns, OfABuiltPoolFitTogether) {
  for (const Metric metric : {Metric::inner_product, Metric::cosine, Metric::l2})
    EXPECT_EQ(refusal(small_pool(metric).columns()), "");
}

// The norm of plane 0, the top scale of plane 1 and the bias of other metrics than l2 are part of the claim: they must stay empty.
TEST(PoolColumns, AreRefusedWithOneElementMoreOrLessInAnyColumn) {
  for (const Metric metric : {Metric::inner_product, Metric::l2}) {
    const PoolColumns good = small_pool(metric).columns();
    PoolColumns bad = good;
    each_column(bad, [&](std::string_view name, auto& column) {
      column.values().emplace_back();
      EXPECT_NE(refusal(bad), "") << name << " is longer";
      column.values().pop_back();
      if (column.size() == 0) return;
      const auto last = column.values().back();
      column.values().pop_back();
      EXPECT_NE(refusal(bad), "") << name << " is shorter";
      column.values().push_back(last);
    });
    EXPECT_EQ(refusal(bad), "") << "and nothing else was wrong";
  }
}

TEST(PoolColumns, MayHoldAnythingInSlotsWithoutARow) {
  PoolColumns columns = small_pool(Metric::l2).columns();
  const auto removed = static_cast<std::size_t>(std::countr_one(columns.live[0]));
  ASSERT_LT(removed, 64U);
  columns.ids.values()[removed] = 0xFFFFFFFF;
  columns.block_plane[0].residual.values()[removed] = kernels::Half{0xFFFF};
  columns.bias.values()[removed] = 1e30F;
  columns.rows.values()[removed * 3] = std::numeric_limits<float>::infinity();
  EXPECT_EQ(refusal(columns), "");
}

TEST(PoolColumns, NeedACentre) {
  PoolColumns columns = small_pool(Metric::l2).columns();
  columns.centers.values().clear();
  EXPECT_NE(refusal(columns).find("centers has 0 elements"), std::string::npos);
}

}  // namespace
}  // namespace mpp::ranking

#include <gtest/gtest.h>

#include "statistical/mutants.hpp"

namespace mpp::statistical {
namespace {

TEST(ConformanceSuite, RejectsEveryMutant) {
  const auto all = mutants();
  EXPECT_GE(all.size(), 20U);
  for (const Procedure& mutant : all)
    EXPECT_TRUE(mutant.rejected(Scale{})) << mutant.name << " survived " << mutant.check;
}
// Where nothing underflows the one that flushes is sound, so it is rejected for its flushing alone.
TEST(ConformanceSuite, FoldingAndFlushingAreTwoMistakes) {
  const auto plain = [](bool flushes) {
    return [=](guarantees::Count c, Delta beta) { return mutant::plain_limit(c, beta, 60, false, flushes); };
  };
  EXPECT_EQ(examine(20, true, plain(true)).unsound, 0U);
  EXPECT_GT(examine(20, true, plain(false)).unsound, 0U);
}
TEST(ConformanceSuite, RejectsNoSoundProcedure) {
  const std::size_t tested_by_cell = library_claims().size();  // the first ones, in validity_test.cpp
  const auto all = valid_procedures();
  for (const Procedure& sound : std::span(all).subspan(tested_by_cell)) {
    EXPECT_FALSE(sound.rejected(Scale{})) << sound.name << " was rejected by " << sound.check;
  }
}

}  // namespace
}  // namespace mpp::statistical

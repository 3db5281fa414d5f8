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
TEST(ConformanceSuite, RejectsNoSoundProcedure) {
  const std::size_t tested_by_cell = library_claims().size();  // the first ones, in validity_test.cpp
  const auto all = valid_procedures();
  for (const Procedure& sound : std::span(all).subspan(tested_by_cell)) {
    EXPECT_FALSE(sound.rejected(Scale{})) << sound.name << " was rejected by " << sound.check;
  }
}

}  // namespace
}  // namespace mpp::statistical

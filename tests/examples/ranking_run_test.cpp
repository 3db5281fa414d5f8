#include "support/ranking_run.hpp"

#include <limits>

#include <gtest/gtest.h>

namespace mpp::examples {
namespace {

RankingRun run_of(const Served& served) {
  RankingRun run{.items = 10,
                 .dims = 2,
                 .k = 1,
                 .family = "gaussian",
                 .worst_case = 80.0,
                 .scan_seconds = {1e-3},
                 .series = {{"5%", 0.5, {served}}}};
  run.ladder.certified = run.ladder.realised = std::vector<std::vector<double>>(5, {0.25});
  return run;
}

Served served(Verdict verdict, double certified, double realised) {
  return {.interest = Interest::near,
          .verdict = verdict,
          .level = 2,
          .bytes = 64.0,
          .seconds = 1e-4,
          .certified = certified,
          .realised = realised};
}

TEST(RankingRun, AnErrorWithinItsBoundIsNoViolation) {
  EXPECT_TRUE(violations(run_of(served(Verdict::certified, 0.5, 0.5))).empty());
}

TEST(RankingRun, AnErrorAboveItsBoundIsNamed) {
  const auto broken = violations(run_of(served(Verdict::certified, 0.5, 0.75)));
  ASSERT_EQ(broken.size(), 1u);
  for (const char* word : {"user 0", "near", "5%", "4 bits", "0.75", "0.5"})
    EXPECT_NE(broken[0].find(word), std::string::npos) << word;
}

TEST(RankingRun, AnErrorAboveItsBoundOnTheWayUpIsNamed) {
  RankingRun run = run_of(served(Verdict::certified, 0.5, 0.5));
  run.ladder.realised[1][0] = 0.26;
  const auto broken = violations(run);
  ASSERT_EQ(broken.size(), 1u);
  EXPECT_NE(broken[0].find("2 bits"), std::string::npos);
}

TEST(RankingRun, AnErrorOrABoundThatIsNotANumberIsAViolation) {
  constexpr double nan = std::numeric_limits<double>::quiet_NaN();
  EXPECT_EQ(violations(run_of(served(Verdict::certified, nan, 0.0))).size(), 1u);
  EXPECT_EQ(violations(run_of(served(Verdict::certified, 1.0, nan))).size(), 1u);
}

TEST(RankingRun, ADeniedRequestPromisesNothingAndCountsAsDenied) {
  const RankingRun run = run_of(served(Verdict::out_of_memory, 0.0, 1.0));
  EXPECT_TRUE(violations(run).empty());
  const auto target = to_json(run)["targets"][0];
  EXPECT_EQ(target["denied"], 1);
  EXPECT_EQ(target["queries_per_second"], 0.0);
  EXPECT_EQ(target["released_at"], std::vector<double>(5, 0.0));
}

TEST(RankingRun, TheTableHasOneRowPerTarget) {
  RankingRun run = run_of(served(Verdict::certified, 0.5, 0.25));
  run.series.push_back(run.series.front());
  EXPECT_EQ(summary(run).rows().size(), 2u);
}

}  // namespace
}  // namespace mpp::examples

#include <mpp/core/guarantees/calibrate.hpp>

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <random>

#include <mpp/core/guarantees/sample_size.hpp>

#include "support/message_of.hpp"

namespace mpp::guarantees {
namespace {

constexpr double nan = std::numeric_limits<double>::quiet_NaN();
constexpr double infinity = std::numeric_limits<double>::infinity();

bool has(const std::string& sentence, const std::string& part) { return sentence.find(part) != std::string::npos; }

/// Losses of thresholds over n requests, the first violations[i] of which violate at threshold i.
std::vector<double> losses_of(const std::vector<std::size_t>& violations, std::size_t n) {
  std::vector<double> losses(violations.size() * n, 0.0);
  for (std::size_t i = 0; i < violations.size(); ++i)
    std::fill_n(losses.begin() + static_cast<std::ptrdiff_t>(i * n), violations[i], 1.0);
  return losses;
}
const PolicyClaim one_percent{.risk = {0.01}, .beta = {0.05}};

// ---- policies ----

TEST(CalibratePolicy, CertifiesOnePercentFrom299CleanRequestsAndNamesThemAt298) {
  const std::vector<double> thresholds{0.5};
  const auto result = calibrate_policy(losses_of({0}, 299), thresholds, one_percent);
  EXPECT_EQ(result.index, 0U);
  EXPECT_EQ(result.threshold, 0.5);
  EXPECT_EQ(result.n, 299U);
  EXPECT_EQ(result.loss, 0.0);
  EXPECT_LE(result.limit, 0.01);
  EXPECT_GT(result.limit, 0.0099);
  try {
    (void)calibrate_policy(losses_of({0}, 298), thresholds, one_percent);
    FAIL() << "298 requests certified";
  } catch (const CalibrationSizeError& error) {
    EXPECT_EQ(error.needed, 299U);
    EXPECT_TRUE(has(error.what(), "298 requests, expected at least 299")) << error.what();
  }
}

TEST(CalibratePolicy, ReturnsTheLastThresholdBeforeTheFirstThatIsNotRefuted) {
  const std::vector<double> thresholds{5, 4, 3, 2, 1};
  // 473 requests certify 1 % with one violation, not with two (minimum_samples).
  ASSERT_EQ(minimum_samples(Delta{0.01}, Delta{0.05}, 1), 473U);
  const auto result = calibrate_policy(losses_of({0, 1, 2, 0, 9}, 473), thresholds, one_percent);
  EXPECT_EQ(result.index, 1U);
  EXPECT_EQ(result.threshold, 4.0);
  EXPECT_EQ(result.loss, 1.0);
  ASSERT_EQ(result.p_values.size(), 3U);  // what lies behind is not tested, however good
  EXPECT_LE(result.p_values[1], 0.05);
  EXPECT_GT(result.p_values[2], 0.05);
  EXPECT_EQ(result.p_values[2], binomial_p({2, 473}, 0.01));
  EXPECT_DOUBLE_EQ(result.last_mean_loss, 9.0 / 473.0);
  EXPECT_DOUBLE_EQ(result.least_escalation, minimum_escalation_rate(9.0 / 473.0, Delta{0.01}));
}

TEST(CalibratePolicy, CertifyingNothingIsAnAnswer) {
  const auto result = calibrate_policy(losses_of({2, 0}, 473), std::vector<double>{2, 1}, one_percent);
  EXPECT_FALSE(result.index);
  EXPECT_TRUE(std::isnan(result.threshold));
  EXPECT_EQ(result.limit, 1.0);
  EXPECT_EQ(result.p_values.size(), 1U);
}

TEST(CalibratePolicy, GradedLossesAreBetOn) {
  const std::size_t n = 2000;
  std::vector<double> losses(2 * n, 0.004);
  std::fill(losses.begin() + static_cast<std::ptrdiff_t>(n), losses.end(), 0.02);
  const PolicyClaim graded{.risk = {0.01}, .beta = {0.05}, .kind = LossKind::graded};
  const auto result = calibrate_policy(losses, std::vector<double>{2, 1}, graded);
  EXPECT_EQ(result.index, 0U);
  EXPECT_NEAR(result.loss, 8.0, 1e-9);
  EXPECT_EQ(result.p_values[0], betting_p(std::span(losses).first(n), 0.01, Delta{0.05}));
  EXPECT_LE(result.limit, 0.01);
  EXPECT_TRUE(has(test::message_of<ValueError>([&] {
                    (void)calibrate_policy(losses, std::vector<double>{2, 1}, one_percent);
                  }),
                  "expected 0 or 1 because the kind is binary"));
}

TEST(CalibratePolicy, SaysWhatIsWrong) {
  const auto losses = losses_of({0, 0}, 300);
  const auto call = [&](std::vector<double> thresholds, PolicyClaim claim = one_percent) {
    return [&losses, thresholds, claim] { (void)calibrate_policy(losses, thresholds, claim); };
  };
  EXPECT_TRUE(has(test::message_of<ValueError>(call({})), "thresholds is empty"));
  for (const std::vector<double>& order : {std::vector<double>{1, 2}, {1, 1}, {nan, 1}, {1, nan}, {infinity, 1}})
    EXPECT_TRUE(has(test::message_of<ValueError>(call(order)), "the most conservative comes first")) << order[0];
  EXPECT_EQ(test::message_of<ValueError>(call({1, -infinity})), "no error");  // "release everything" is a threshold
  EXPECT_TRUE(has(test::message_of<ShapeError>(call({4, 3, 2, 1, 0, -1, -2})), "expected [7, requests]"));
  for (const double bad : {0.0, 1.0, -0.1, nan}) {
    EXPECT_TRUE(has(test::message_of<ValueError>(call({2, 1}, {.risk = {bad}, .beta = {0.05}})), "risk is"));
    EXPECT_TRUE(has(test::message_of<ValueError>(call({2, 1}, {.risk = {0.01}, .beta = {bad}})), "beta is"));
  }
  for (const double bad : {nan, -0.1, 1.1, 0.5}) {
    auto wrong = losses;
    wrong[305] = bad;
    EXPECT_TRUE(has(test::message_of<ValueError>([&] {
                      (void)calibrate_policy(wrong, std::vector<double>{2, 1}, one_percent);
                    }),
                    "threshold 1, request 5"));
  }
  EXPECT_THROW((void)calibrate_policy({}, std::vector<double>{1}, one_percent), CalibrationSizeError);
}

// ---- ratios ----

TEST(RatioScore, IsTheLargestRatioRoundedUp) {
  using V = std::vector<double>;
  EXPECT_DOUBLE_EQ(ratio_score(V{1, 3, 0}, V{2, 1, 5}), 3.0);
  EXPECT_EQ(ratio_score(V{0, 0}, V{0, 1}), 0.0);
  EXPECT_EQ(ratio_score(V{1}, V{0}), infinity);
  EXPECT_EQ(ratio_score(V{infinity}, V{1}), infinity);
  EXPECT_EQ(ratio_score(V{infinity, 1}, V{infinity, 1}), ratio_score(V{1}, V{1}));
  EXPECT_EQ(ratio_score(V{1e300}, V{1e-300}), infinity);
  for (const double bad : {nan, -1.0, -infinity}) {
    EXPECT_TRUE(has(test::message_of<ValueError>([&] { (void)ratio_score(V{0, bad}, V{1, 1}); }), "errors[1] is"));
    EXPECT_TRUE(has(test::message_of<ValueError>([&] { (void)ratio_score(V{0, 1}, V{1, bad}); }), "estimates[1] is"));
  }
  EXPECT_THROW((void)ratio_score(V{1}, V{1, 2}), ShapeError);
  EXPECT_THROW((void)ratio_score({}, {}), ShapeError);

  // score * estimate >= error, exactly: long double has 11 bits more, and the product of doubles needs at most 106.
  std::mt19937_64 bits(7);
  for (int i = 0; i < 100000; ++i) {
    const auto draw = [&] { return std::ldexp(static_cast<double>(bits() >> 11), static_cast<int>(bits() % 60) - 80); };
    const double error = draw(), estimate = draw();
    if (estimate == 0.0) continue;
    const double score = ratio_score(V{error}, V{estimate});
    const double product = score * estimate;
    EXPECT_TRUE(product > error || (product == error && std::fma(score, estimate, -product) >= 0.0));
  }
}

TEST(ConformalRank, AtItsEdges) {
  EXPECT_EQ(conformal_rank(99, Delta{0.01}), 99U);
  EXPECT_EQ(conformal_rank(98, Delta{0.01}), 99U);
  EXPECT_EQ(conformal_rank(9, Delta{0.1}), 9U);
  EXPECT_EQ(conformal_rank(9, Delta{0.5}), 5U);
  EXPECT_EQ(conformal_rank(0, Delta{0.5}), 1U);
  EXPECT_EQ(conformal_rank(most_samples, Delta{0x1p-1074}), most_samples + 1);
  EXPECT_EQ(conformal_rank(most_samples, Delta{0x1p-32}), most_samples);
  EXPECT_EQ(conformal_rank(10, Delta{std::nextafter(1.0, 0.0)}), 1U);
  // The double below 0.3 is less than 3 of 10, so 3 may not lie above; plain arithmetic rounds the product up to 3.
  EXPECT_EQ(std::floor(10.0 * 0.3), 3.0);
  EXPECT_EQ(conformal_rank(9, Delta{0.3}), 8U);
  for (const double bad : {0.0, 1.0, nan}) EXPECT_THROW((void)conformal_rank(9, Delta{bad}), ValueError);
  EXPECT_THROW((void)conformal_rank(most_samples + 1, Delta{0.5}), ValueError);
}

TEST(CalibrateRatio, SplitConformalTakesTheRankAndRefusesOneThatIsNotThere) {
  std::vector<double> scores(99);
  std::iota(scores.rbegin(), scores.rend(), 1.0);
  const auto result = calibrate_ratio(scores, {.risk = {0.01}, .beta = std::nullopt});
  EXPECT_EQ(result.rank, 99U);
  EXPECT_EQ(result.kappa, 99.0);
  EXPECT_EQ(calibrate_ratio(scores, {.risk = {0.1}, .beta = std::nullopt}).kappa, 90.0);
  scores.pop_back();
  try {
    (void)calibrate_ratio(scores, {.risk = {0.01}, .beta = std::nullopt});
    FAIL() << "98 requests gave a kappa";
  } catch (const CalibrationSizeError& error) {
    EXPECT_EQ(error.needed, 99U);
    EXPECT_TRUE(has(error.what(), "98 requests, expected at least 99")) << error.what();
  }
}

TEST(CalibrateRatio, ToleranceTakesTheSmallestRankThatIsRightAtBeta) {
  std::vector<double> scores(473);
  std::iota(scores.begin(), scores.end(), 1.0);
  const RatioClaim claim{.risk = {0.01}, .beta = Delta{0.05}};
  EXPECT_EQ(calibrate_ratio(scores, claim).rank, 472U);  // one may lie above: minimum_samples(1 %, 5 %, 1) = 473
  scores.pop_back();
  EXPECT_EQ(calibrate_ratio(scores, claim).rank, 472U);  // none may
  scores.resize(298);
  EXPECT_TRUE(has(test::message_of<CalibrationSizeError>([&] { (void)calibrate_ratio(scores, claim); }),
                  "expected at least 299"));
  for (const std::size_t n : {300U, 1000U, 5000U})
    for (const double risk : {0.01, 0.1, 0.5}) {
      std::vector<double> ascending(n);
      std::iota(ascending.begin(), ascending.end(), 1.0);
      const std::uint64_t rank = calibrate_ratio(ascending, {.risk = {risk}, .beta = Delta{0.05}}).rank;
      EXPECT_LE(binomial_p({n - rank, n}, risk), 0.05);
      EXPECT_GT(binomial_p({n - rank + 1, n}, risk), 0.05);
    }
}

TEST(CalibrateRatio, InfiniteScoresAreRankedAndNaNIsRefused) {
  std::vector<double> scores(99, 1.0);
  scores[5] = infinity;
  EXPECT_EQ(calibrate_ratio(scores, {.risk = {0.02}, .beta = std::nullopt}).kappa, 1.0);
  EXPECT_EQ(calibrate_ratio(scores, {.risk = {0.01}, .beta = std::nullopt}).kappa, infinity);
  for (const double bad : {nan, -1.0}) {
    scores[7] = bad;
    EXPECT_TRUE(has(test::message_of<ValueError>([&] { (void)calibrate_ratio(scores, {.risk = {0.1}, .beta = {}}); }),
                    "scores[7] is"));
  }
  scores[7] = 1.0;
  for (const double bad : {0.0, 1.0, nan, 1e-300}) {
    EXPECT_THROW((void)calibrate_ratio(scores, {.risk = {bad}, .beta = std::nullopt}), ValueError);
    EXPECT_THROW((void)calibrate_ratio(scores, {.risk = {bad}, .beta = Delta{0.05}}), ValueError);
  }
  EXPECT_THROW((void)calibrate_ratio(scores, {.risk = {0.1}, .beta = Delta{nan}}), ValueError);
  EXPECT_THROW((void)calibrate_ratio({}, {.risk = {0.1}, .beta = std::nullopt}), CalibrationSizeError);
}

// ---- groups ----

TEST(CalibrationGroups, AreEachCalibratedAlone) {
  // Two groups in turn; the second violates at the second threshold.
  const std::size_t n = 600;
  std::vector<std::string> groups(n);
  std::vector<double> losses(2 * n, 0.0), scores(n);
  for (std::size_t i = 0; i < n; ++i) {
    groups[i] = i % 2 == 0 ? "de" : "en";
    losses[n + i] = i % 2 == 0 ? 0.0 : 1.0;
    scores[i] = i % 2 == 0 ? 1.0 : 7.0;
  }
  const auto policies = calibrate_policy(losses, std::vector<double>{2, 1}, groups, one_percent);
  ASSERT_EQ(policies.size(), 2U);
  EXPECT_EQ(policies.at("de").threshold, 1.0);
  EXPECT_EQ(policies.at("en").threshold, 2.0);
  EXPECT_EQ(policies.at("en").n, 300U);
  const auto ratios = calibrate_ratio(scores, groups, {.risk = {0.01}, .beta = Delta{0.05}});
  EXPECT_EQ(ratios.at("de").kappa, 1.0);
  EXPECT_EQ(ratios.at("en").kappa, 7.0);

  groups[0] = groups[2] = "fr";
  const auto policy = [&] { (void)calibrate_policy(losses, std::vector<double>{2, 1}, groups, one_percent); };
  EXPECT_TRUE(has(test::message_of<CalibrationSizeError>(policy), "group 'de': calibrate_policy: 298 requests"));
  const auto ratio = [&] { (void)calibrate_ratio(scores, groups, {.risk = {0.005}, .beta = std::nullopt}); };
  EXPECT_TRUE(has(test::message_of<CalibrationSizeError>(ratio),
                  "group 'fr': calibrate_ratio: 2 requests, expected at least 199"));
  groups.pop_back();
  EXPECT_THROW(policy(), ShapeError);
  EXPECT_THROW(ratio(), ShapeError);
  EXPECT_THROW((void)calibrate_ratio({}, std::span<const std::string>{}, {.risk = {0.1}, .beta = {}}), ShapeError);
}

}  // namespace
}  // namespace mpp::guarantees

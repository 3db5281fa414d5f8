#include <mpp/core/error.hpp>
#include <mpp/core/guarantees/limits.hpp>
#include <mpp/core/guarantees/sample_size.hpp>

#include <gtest/gtest.h>

#include <array>
#include <cfenv>
#include <cmath>
#include <limits>
#include <string>
#include <vector>

#if defined(__SSE2__)
#include <immintrin.h>
#endif

namespace mpp::guarantees {
namespace {

constexpr double nan = std::numeric_limits<double>::quiet_NaN();
constexpr double tiny = std::numeric_limits<double>::denorm_min();

template <class Error, class Call>
std::string sentence(const Call& call) {
  try {
    call();
  } catch (const Error& error) {
    return error.what();
  }
  return "no error";
}

TEST(ClopperPearsonLimit, AgreesWithScipyToItsPrecision) {
  // scipy.stats.beta.ppf(1 - beta, k + 1, n - k) and ppf(beta, k, n - k + 1), SciPy 1.17.1
  EXPECT_NEAR(clopper_pearson_upper({0, 299}, Delta{0.05}), 0.009969146792899269, 1e-15);
  EXPECT_NEAR(clopper_pearson_upper({10, 1000}, Delta{0.05}), 0.016903175120562504, 1e-15);
  EXPECT_NEAR(clopper_pearson_lower({10, 1000}, Delta{0.05}), 0.005435140144706774, 1e-15);
}
TEST(ClopperPearsonLimit, IsTrivialWhereTheSampleSaysNothing) {
  EXPECT_EQ(clopper_pearson_upper({7, 7}, Delta{0.05}), 1.0);
  EXPECT_EQ(clopper_pearson_lower({0, 7}, Delta{0.05}), 0.0);
}
TEST(ClopperPearsonLimit, StaysOrderedAtExtremeLevelsAndSizes) {
  for (const double beta : {tiny, 1e-300, 1e-30, 0.5, 0.999, 1.0 - 0x1p-53})
    for (const Count count : {Count{0, 1}, Count{1, 1}, Count{1, 2}, Count{3, 100000}, Count{99997, 100000},
                              Count{0, most_samples}, Count{5, most_samples}, Count{most_samples - 5, most_samples}}) {
      const double upper = clopper_pearson_upper(count, Delta{beta});
      const double lower = clopper_pearson_lower(count, Delta{beta});
      EXPECT_TRUE(upper >= 0.0 && upper <= 1.0) << upper;
      EXPECT_TRUE(lower >= 0.0 && lower <= 1.0) << lower;
      EXPECT_TRUE(beta >= 0.5 || lower < upper) << lower << ' ' << upper;
      EXPECT_TRUE(upper == 1.0 || binomial_p(count, upper) <= beta) << upper;
    }
}

TEST(Limits, TakeEveryLevelBetween0And1) {
  const std::vector<double> losses(1000, 0.25);
  const double least = std::numeric_limits<double>::min();
  for (const double beta : {tiny, 3.0 * tiny, 0.5 * least, least, 2.0 * least, 3.0 * least, 1e-300, 1.0 - 0x1p-53})
    for (const auto& [upper, lower] : {std::pair{&hoeffding_bentkus_upper, &hoeffding_bentkus_lower},
                                       std::pair{&empirical_bernstein_upper, &empirical_bernstein_lower},
                                       std::pair{&betting_upper, &betting_lower}}) {
      EXPECT_TRUE(upper(losses, Delta{beta}) > 0.25 && upper(losses, Delta{beta}) <= 1.0) << beta;
      EXPECT_TRUE(lower(losses, Delta{beta}) < 0.25 && lower(losses, Delta{beta}) >= 0.0) << beta;
    }
  EXPECT_LT(hoeffding_bentkus_upper(losses, Delta{tiny}), 0.9);  // Hoeffding's half still says something
}

TEST(Limits, HaveTheValuesOfThePublishedTable) {
  // 1 % failures in 1000, level 95 %: Hoeffding-Bentkus .0189, empirical Bernstein .0272, Clopper-Pearson .0169.
  std::vector<double> losses(1000, 0.0);
  std::fill_n(losses.begin(), 10, 1.0);
  EXPECT_NEAR(hoeffding_bentkus_upper(losses, Delta{0.05}), 0.0189, 5e-5);
  EXPECT_NEAR(empirical_bernstein_upper(losses, Delta{0.05}), 0.0272, 5e-5);
  EXPECT_NEAR(recommended_upper(losses, LossKind::binary, Delta{0.05}), 0.0169, 5e-5);
}

TEST(Limits, AgreeWithAnIndependentImplementation) {
  // NumPy 2 and SciPy 1.17: brentq on the textbook formulas, betting with cumulated log wealth as in Bates et al.
  std::vector<double> losses;
  for (int i = 0; i < 500; ++i) losses.push_back((i * i % 101) / 1000.0);
  constexpr Delta beta{0.05};
  EXPECT_NEAR(hoeffding_bentkus_upper(losses, beta), 0.07686406448418287, 1e-12);
  EXPECT_NEAR(hoeffding_bentkus_lower(losses, beta), 0.03167785204129605, 1e-12);
  EXPECT_NEAR(empirical_bernstein_upper(losses, beta), 0.07132569200100451, 1e-12);
  EXPECT_NEAR(empirical_bernstein_lower(losses, beta), 0.029454307998995486, 1e-12);
  EXPECT_NEAR(betting_upper(losses, beta), 0.057114287822171296, 1e-12);
  EXPECT_NEAR(betting_lower(losses, beta), 0.04407900202631488, 1e-12);
}

using Limit = double (*)(std::span<const double>, Delta);
constexpr std::array<Limit, 3> uppers{hoeffding_bentkus_upper, empirical_bernstein_upper, betting_upper};
constexpr std::array<Limit, 3> lowers{hoeffding_bentkus_lower, empirical_bernstein_lower, betting_lower};

TEST(Limits, EncloseTheSampleMeanAndOneSampleCertifiesLittle) {
  for (std::size_t i = 0; i < uppers.size(); ++i) {
    for (const double loss : {0.0, tiny, 0.25, 1.0}) {
      const std::vector<double> losses(400, loss);
      EXPECT_GE(uppers[i](losses, Delta{0.05}), loss);
      EXPECT_LE(lowers[i](losses, Delta{0.05}), loss);
    }
    EXPECT_GE(uppers[i](std::vector{0.0}, Delta{0.05}), 0.95);
    EXPECT_LE(lowers[i](std::vector{1.0}, Delta{0.05}), 0.05);
  }
}

TEST(Limits, ANaNOrAnEmptySampleIsNamedInTheError) {
  const std::vector<double> bad{0.0, 0.5, nan};
  EXPECT_EQ(sentence<ValueError>([&] { (void)betting_upper(bad, Delta{0.05}); }),
            "betting_upper: losses[2] is nan, expected in [0, 1]");
  EXPECT_EQ(sentence<ValueError>([&] { (void)hoeffding_bentkus_lower({}, Delta{0.05}); }),
            "hoeffding_bentkus_lower: n is 0, expected 1 to 4294967296");
  EXPECT_EQ(sentence<ValueError>([&] {
              (void)clopper_pearson_upper({3, 2}, Delta{0.05});
            }),
            "clopper_pearson_upper: violations is 3, expected at most n = 2");
  EXPECT_EQ(sentence<ValueError>([&] {
              (void)clopper_pearson_upper({0, 2}, Delta{1.0});
            }),
            "clopper_pearson_upper: beta is 1, expected in (0, 1)");
  EXPECT_EQ(sentence<ValueError>([&] {
              (void)binomial_p({0, 2}, nan);
            }),
            "binomial_p: risk is nan, expected in [0, 1]");
  EXPECT_THROW((void)clopper_pearson_lower({0, most_samples + 1}, Delta{0.05}), ValueError);
}
TEST(Limits, ABinarySampleWithAGradedLossIsRefused) {
  EXPECT_EQ(sentence<ValueError>([&] {
              (void)recommended_upper(std::vector{0.0, 1.0, 0.5}, LossKind::binary, Delta{0.05});
            }),
            "recommended_upper: losses[2] is 0.5, expected 0 or 1 because the kind is binary");
  EXPECT_THROW((void)recommended_lower(std::vector{tiny}, LossKind::binary, Delta{0.05}), ValueError);
  EXPECT_EQ(recommended_lower(std::vector{0.0, 0.5}, LossKind::graded, Delta{0.05}),
            betting_lower(std::vector{0.0, 0.5}, Delta{0.05}));
}
TEST(Limits, AThreadThatDoesNotRoundToNearestIsRefused) {
  std::fesetround(FE_UPWARD);
  const std::string error = sentence<BackendUnavailable>([] { (void)clopper_pearson_upper({0, 9}, Delta{0.05}); });
  std::fesetround(FE_TONEAREST);
  EXPECT_NE(error.find("does not round to nearest"), std::string::npos) << error;
}
TEST(Limits, AThreadThatFlushesSubnormalNumbersGetsLimitsThatAreNotSmaller) {
#if defined(__SSE2__)
  std::vector<double> losses(50, tiny);
  std::fill_n(losses.begin(), 5, 1.0);
  const auto all = [&] {
    std::vector<double> limits;
    for (const Limit limit : uppers) limits.push_back(limit(losses, Delta{0.05}));
    limits.push_back(clopper_pearson_upper({2500, 5000}, Delta{0.05}));
    return limits;
  };
  const auto normal = all();
  const unsigned before = _mm_getcsr();
  _mm_setcsr(before | 0x8040U);  // flush to zero, subnormals are zero
  const auto flushed = all();
  _mm_setcsr(before);
  EXPECT_EQ(flushed, normal);
#else
  GTEST_SKIP() << "no SSE control register";
#endif
}

TEST(PValues, FallToTheLevelExactlyAtTheLimit) {
  for (const Count count : {Count{0, 299}, Count{3, 500}, Count{40, 4000}}) {
    const double limit = clopper_pearson_upper(count, Delta{0.05});
    EXPECT_LE(binomial_p(count, limit), 0.05);
    EXPECT_GT(binomial_p(count, std::nextafter(limit, 0.0)), 0.05);
  }
  EXPECT_EQ(binomial_p({5, 10}, 0.0), 1.0);
  EXPECT_GT(binomial_p({0, 100000}, 0.999), 0.0);  // a p-value of 0 would be a lie
}

TEST(MinimumSamples, AreTheKnownOnes) {
  constexpr Delta beta{0.05};
  EXPECT_EQ(minimum_samples(Delta{0.05}, beta), 59U);
  EXPECT_EQ(minimum_samples(Delta{0.01}, beta), 299U);
  EXPECT_EQ(minimum_samples(Delta{0.001}, beta), 2995U);
  EXPECT_EQ(minimum_samples(Delta{0.01}, Delta{0.01}), 459U);
  EXPECT_EQ(minimum_samples(Delta{0.5}, Delta{1e-300}), 997U);      // 996.58 = log2(10^300)
  EXPECT_EQ(minimum_samples(Delta{0.999999}, Delta{1e-300}), 51U);  // 50.0000000001: the double is below 1 - 10^-6
  EXPECT_EQ(minimum_samples(Delta{0.001}, Delta{0.01}), 4603U);
  EXPECT_EQ(minimum_samples(Delta{0.01}, Delta{0.05 / 4}), 437U);
}
TEST(MinimumSamples, AreTheFirstThatCertify) {
  for (const double risk : {0.3, 0.01, 0.003})
    for (const std::uint64_t violations : {0U, 1U, 5U, 20U}) {
      const std::uint64_t n = minimum_samples(Delta{risk}, Delta{0.05}, violations);
      EXPECT_LE(clopper_pearson_upper({violations, n}, Delta{0.05}), risk);
      EXPECT_GT(clopper_pearson_upper({violations, n - 1}, Delta{0.05}), risk);
    }
}
TEST(MinimumSamples, RefuseWhatNoSampleCanShow) {
  EXPECT_EQ(sentence<ValueError>([] { (void)minimum_samples(Delta{1e-12}, Delta{0.05}); }),
            "minimum_samples: risk 1e-12 at beta 0.05 with 0 violations needs more than 4294967296 samples");
  EXPECT_THROW((void)minimum_samples(Delta{0.0}, Delta{0.05}), ValueError);
  EXPECT_THROW((void)minimum_samples(Delta{nan}, Delta{0.05}), ValueError);
  EXPECT_THROW((void)minimum_samples(Delta{0.1}, Delta{0.05}, most_samples), ValueError);
}

TEST(MinimumEscalationRate, IsWhatMustBeRefusedToReachTheRisk) {
  EXPECT_EQ(minimum_escalation_rate(0.005, Delta{0.01}), 0.0);
  EXPECT_DOUBLE_EQ(minimum_escalation_rate(0.208, Delta{0.01}), 0.2);
  EXPECT_EQ(minimum_escalation_rate(1.0, Delta{0.01}), 1.0);
  EXPECT_THROW((void)minimum_escalation_rate(nan, Delta{0.01}), ValueError);
  EXPECT_THROW((void)minimum_escalation_rate(0.5, Delta{1.0}), ValueError);
}

}  // namespace
}  // namespace mpp::guarantees

#include "kernels/certificate_scene.hpp"

// What the spread of a page does to the sums: means of radii in place of radii.
namespace mpp::kernels {
namespace {

class CertificateSpreadTest : public CertificateSumsTest {
 protected:
  static void scale(std::vector<float>& numbers, double factor) {
    for (float& x : numbers) x = static_cast<float>(factor * static_cast<double>(x));
  }
  /// How often a field is on the wrong side if spreads are summed as if they were that much smaller.
  static std::size_t caught(const Field& field, double factor) {
    const auto shrink = [factor](ReadStatistics& read) {
      scale(read.spread, factor), scale(read.value_spread, factor);
    };
    return violations(shrink, leave, 2'000, &field);
  }
};
MPP_ON_ALL_DEVICES(CertificateSpreadTest);

TEST_P(CertificateSpreadTest, IsByHandWhatTheDefinitionSays) {
  // Mass 16 and radius 2: the mean radius of the page is a quarter of the spread, 1/2 here, and r is 1/4.
  ReadStatistics read{.max_logit = {0.0F},
                      .mass = {16.0F},
                      .radius = {2.0F},
                      .spread = {2.0F},
                      .energy = {4.0F},
                      .value_residual = {1.0F},
                      .value_spread = {2.0F},
                      .value_reach = {3.0F},
                      .log_sum_exp = {std::log(16.0)}};
  const CertificateSums sums = run(read)[0];
  const auto is = [](double sum, double expected) { EXPECT_NEAR(sum, expected, 0x1p-14 * expected); };
  is(sums.excess, 0.25 * std::expm1(2.0));
  is(sums.excess_square, std::pow(0.25 * std::expm1(2.0), 2.0));
  is(sums.variance, std::pow(0.25 * std::expm1(1.0), 2.0));
  is(sums.affinity, 0.75);
  is(sums.shrink, 0.5);
  is(sums.lift, std::cosh(1.0) - 1.0);
  is(sums.sinh, std::sinh(2.0));
  is(sums.spread_lift, (std::cosh(1.0) - 1.0) / 16.0);
  is(sums.spread_lift_square, std::pow((std::cosh(1.0) - 1.0) / 4.0, 2.0));
  is(sums.spread_cosh_square, std::pow((std::cosh(2.0) - 1.0) / 4.0, 2.0));
  is(sums.spread_sinh, std::sinh(2.0) / 4.0);
  is(sums.value_residual, 0.5);
  EXPECT_NEAR(sums.paged_excess, 0.25 * std::expm1(2.0) * 1.5, 0x1p-8);  // E = 4/16 3^2; its rounding is that of Half
  EXPECT_EQ(sums.radius, 2.0);
}

TEST_P(CertificateSpreadTest, ASumThatIsMadeOfTooLargeAMassIsCaughtInEveryField) {
  for (const Field& field : fields)
    if (field.of_spread) {
      EXPECT_GT(caught(field, std::sqrt(1.0 - 1e-3)), 0U) << field.name;
      EXPECT_EQ(caught(field, 1.0), 0U) << field.name;
    }
}

// Where a sum is rounded up, r sqrt(mass) is what counts, and shares cover it. But 1 - c' may be next to 0.
TEST_P(CertificateSpreadTest, AMeanThatForgetsTheRoundingOfTheMassIsCaught) {
  const AttendRounding rounding = attend_rounding(1);
  const double root = std::sqrt((1.0 + rounding.mass) * (1.0 + rounding.weight));
  EXPECT_GT(caught(field_of(&CertificateSums::affinity), 1.0 / root), 0U);
  EXPECT_GT(caught(field_of(&CertificateSums::shrink), 1.0 / root), 0U);
}

TEST_P(CertificateSpreadTest, OnlyValuesOfCodesAreWeighedByIntegers) {
  const auto as_if_exact = [](ReadStatistics& read) { std::ranges::fill(read.value_residual, 0.0F); };
  EXPECT_GT(violations(as_if_exact, leave, 1'000, &field_of(&CertificateSums::output_rounding)), 0U);
  ReadStatistics read = statistics(ordinary, 9, 1, 3);
  std::ranges::fill(read.value_residual, std::numeric_limits<float>::denorm_min());
  const double of_codes = run(read)[0].output_rounding;
  std::ranges::fill(read.value_residual, 0.0F);
  double weights = 0.0;
  for (std::size_t p = 0; p < 9; ++p)
    weights += std::exp(static_cast<double>(read.max_logit[p]) - read.log_sum_exp[0]) *
               static_cast<double>(read.value_reach[p]);
  EXPECT_NEAR(of_codes - run(read)[0].output_rounding, attend_rounding(9).token_weight * weights, 1e-4 * of_codes);
}

TEST_P(CertificateSpreadTest, AboveThatOfEveryRadiusSaysNothing) {
  for (const std::size_t pages : {1, 4, 7, 64}) {
    ReadStatistics read = statistics(ordinary, pages, 1, pages);
    std::ranges::fill(read.spread, inf);
    std::ranges::fill(read.value_spread, inf);
    const CertificateSums without = run(read)[0];
    const auto same = [](double a, double b) { EXPECT_NEAR(a, b, 1e-4 * b); };
    same(without.spread_lift, without.lift);
    same(without.spread_lift_square, without.lift_variance + without.lift * without.lift);
    same(without.spread_sinh, without.sinh);
    for (std::size_t p = 0; p < pages; ++p) {
      read.spread[p] = 8.01F * read.radius[p];
      read.value_spread[p] = 8.01F * read.value_residual[p];
    }
    const CertificateSums loose = run(read)[0];
    for (const Field& field : fields) EXPECT_EQ(loose.*field.sum, without.*field.sum) << field.name;
  }
}

TEST_P(CertificateSpreadTest, OfZeroLeavesNoErrorsButThoseOfRadii) {
  for (const std::size_t pages : {1, 5, 8, 70}) {
    ReadStatistics read = statistics(ordinary, pages, 1, pages);
    const CertificateSums before = run(read)[0];
    std::ranges::fill(read.spread, 0.0F);
    std::ranges::fill(read.value_spread, 0.0F);
    const CertificateSums sums = run(read)[0];
    for (const Field& field : fields) {
      const double sum = sums.*field.sum;
      EXPECT_TRUE(field.of_spread ? !field.up || sum <= 1e-290 : sum == before.*field.sum) << field.name << ' ' << sum;
    }
    EXPECT_GT(sums.affinity, 0.9999);
    EXPECT_GT(sums.shrink, 0.9999);
  }
}

TEST_P(CertificateSpreadTest, FallsWithTheSpreadOfEachPageAndOfNoOther) {
  for (std::size_t pages = 1; pages <= 17; ++pages)
    for (std::size_t at = 0; at < pages; ++at) {
      ReadStatistics read = statistics(ordinary, pages, 1, 100 + pages);
      std::ranges::fill(read.spread, inf);
      const CertificateSums before = run(read)[0];
      read.spread[at] = 0.0F;
      const double m = static_cast<double>(read.mass[at]) *
                       std::exp(static_cast<double>(read.max_logit[at]) - read.log_sum_exp[0]),
                   expected = m * std::expm1(static_cast<double>(read.radius[at]));
      ASSERT_NEAR(before.excess - run(read)[0].excess, expected, 1e-4 * before.excess) << pages << ' ' << at;
    }
}

TEST_P(CertificateSpreadTest, OfAnOmittedPageCountsForNothing) {
  ReadStatistics read = statistics(ordinary, 9, 1, 4);
  for (const std::size_t at : {3, 8}) {
    read.radius[at] = -1.0F;
    read.energy[at] = read.spread[at] = 0.0F;
  }
  read.sum_up();
  const CertificateSums sums = run(read)[0];
  for (const float spread : {1.0F, inf, nan, -1.0F}) {
    read.spread[3] = read.spread[8] = spread;
    for (const Field& field : fields) EXPECT_EQ(run(read)[0].*field.sum, sums.*field.sum) << field.name;
  }
}

TEST_P(CertificateSpreadTest, IsOfAPageOfTheLeastMass) {
  // A mass below 1 is that of no page, but sums of it are those of its definition.
  ReadStatistics read = statistics(ordinary, 5, 1, 6);
  read.mass[2] = 0.5F;
  read.sum_up();
  const CertificateSums sums = run(read)[0];
  std::mt19937_64 signs(1);
  const ExactSums exact(read, 0, attend_rounding(5), signs, 0.999L);
  for (const Field& field : fields) {
    const long double limit = exact.*field.exact;
    EXPECT_TRUE(field.up ? sums.*field.sum >= limit : sums.*field.sum <= limit) << field.name;
  }
}

}  // namespace
}  // namespace mpp::kernels

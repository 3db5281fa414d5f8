#include "kernels/certificate_scene.hpp"

namespace mpp::kernels {
namespace {

MPP_ON_ALL_DEVICES(CertificateSumsTest);

TEST_P(CertificateSumsTest, AreOnTheirSideOfWhateverTheStatisticsMayMean) { EXPECT_EQ(violations(leave, 20'000), 0U); }

// Each sum on the wrong side by more than the roundings of masses, weights and energies are, and sums of masses by no more.
TEST_P(CertificateSumsTest, TheTestAboveCatchesASumThatForgetsTheRoundingOfTheRead) {
  for (const Field& field : fields)
    EXPECT_GT(violations([&](CertificateSums& s) { s.*field.sum *= field.up ? 1.0 - 0x1p-6 : 1.0 + 0x1p-6; }, 1'000),
              0U)
        << field.name;
  for (const Field& field :
       {field_of(&CertificateSums::excess), field_of(&CertificateSums::variance), field_of(&CertificateSums::affinity),
        field_of(&CertificateSums::shrink), field_of(&CertificateSums::lift), field_of(&CertificateSums::sinh),
        field_of(&CertificateSums::sinh_below), field_of(&CertificateSums::excess_square)})
    EXPECT_GT(violations([&](CertificateSums& s) { s.*field.sum *= field.up ? 1.0 - 0x1p-16 : 1.0 + 0x1p-16; }, 1'000),
              0U)
        << field.name;
}

TEST_P(CertificateSumsTest, CostLittleBesideTheRoundingOfTheRead) {
  for (const std::size_t pages : {1, 3, 4, 5, 8, 63, 64, 65, 2048}) {
    const ReadStatistics read = statistics(ordinary, pages, 2, pages);
    const AttendRounding rounding = attend_rounding(pages);
    const std::vector<CertificateSums> sums = run(read);
    for (std::size_t head = 0; head < 2; ++head) {
      std::mt19937_64 signs(1);
      const ExactSums exact(read, head, rounding, signs, 0.0L);
      for (const Field& field : fields) {
        // twice in shares, and in the roots of masses that means of radii are made of
        const double shares = (field.of_spread ? 4.0 : 2.0) * (rounding.mass + rounding.weight);
        const double energies = rounding.energy + shares;
        const double sum = sums[head].*field.sum, limit = static_cast<double>(exact.*field.exact);
        double allowed = shares * limit;
        if (field.sum == &CertificateSums::energy || field.sum == &CertificateSums::energy_below)
          allowed = energies * limit;
        if (field.sum == &CertificateSums::paged_excess) allowed = energies * limit;
        if (field.sum == &CertificateSums::output_rounding)
          allowed = 2.0 * (rounding.log_sum_exp + 4.0 * rounding.weight / rounding.page_weight) * limit;
        // a difference: what its two parts lose, against the larger one
        const double u = static_cast<double>(exact.lift),
                     half_cosh = static_cast<double>(exact.lift_variance) + u * u + 2.0 * u;
        if (field.sum == &CertificateSums::lift_variance) allowed = 3.0 * shares * (limit + u * u);
        if (field.sum == &CertificateSums::cosh_variance)
          allowed = 3.0 * shares * (limit + 4.0 * half_cosh * half_cosh);
        EXPECT_NEAR(sum, limit, 1.001 * allowed + 1e-6 * limit + 1e-300) << field.name << ", " << pages << " pages";
      }
    }
  }
}

TEST_P(CertificateSumsTest, AreZeroForExactPagesWithoutValues) {
  ReadStatistics read = statistics(ordinary, 13, 1, 1);
  for (float& radius : read.radius) radius = 0.0F;
  for (float& reach : read.value_reach) reach = 0.0F;
  for (float& residual : read.value_residual) residual = 0.0F;
  for (float& spread : read.value_spread) spread = 0.0F;
  const CertificateSums sums = run(read)[0];
  for (const Field& field : fields)
    if (field.up) {
      EXPECT_EQ(sums.*field.sum, 0.0) << field.name;
    }
  EXPECT_GT(sums.shrink, 0.9999);
}

TEST_P(CertificateSumsTest, ARadiusBeyondTheExponentialIsInfinity) {
  for (const float radius : {720.0F, 1500.0F, 3e38F, inf})
    for (const std::size_t at : {0, 3, 8})
      for (const float spread : {0.0F, 1.0F, inf}) {
        ReadStatistics read = statistics(ordinary, 9, 1, 2);
        read.radius[at] = radius;
        read.spread[at] = spread;
        read.max_logit[at] = at == 3 ? -2000.0F : read.max_logit[at];  // a weight that underflows is a weight
        read.sum_up();
        const CertificateSums sums = run(read)[0];
        EXPECT_EQ(sums.excess, inf);
        EXPECT_EQ(sums.excess_square, inf);
        EXPECT_EQ(sums.cosh_variance, inf);
        EXPECT_EQ(sums.paged_excess, inf);
        EXPECT_EQ(sums.spread_cosh_square, inf);
        EXPECT_EQ(sums.spread_sinh, inf);
        EXPECT_EQ(sums.radius, inf);
        EXPECT_GE(sums.variance, 0.0);
        EXPECT_GE(sums.lift_variance, 0.0);
        EXPECT_LE(sums.energy, std::numeric_limits<double>::max());
      }
}

TEST_P(CertificateSumsTest, APageWithoutMassCountsForNothing) {
  ReadStatistics read = statistics(ordinary, 9, 1, 3);
  for (const std::size_t at : {0, 4, 8}) {
    ReadStatistics changed = read;
    changed.mass[at] = 0.0F;
    changed.radius[at] = changed.spread[at] = changed.max_logit[at] = changed.energy[at] = inf;
    changed.max_logit[at] = -inf;
    ReadStatistics without = read;
    for (auto* array : {&without.max_logit, &without.mass, &without.radius, &without.spread, &without.energy,
                        &without.value_residual, &without.value_spread, &without.value_reach})
      array->erase(array->begin() + static_cast<std::ptrdiff_t>(at));
    --without.pages;
    without.sum_up();
    changed.log_sum_exp = without.log_sum_exp;
    const CertificateSums a = run(changed)[0], b = run(without)[0];
    for (const Field& field : fields) {
      if (field.sum == &CertificateSums::output_rounding) continue;  // that of a read of one page more
      EXPECT_NEAR(a.*field.sum, b.*field.sum, 1e-6 * b.*field.sum) << field.name;
    }
  }
}

TEST_P(CertificateSumsTest, OmittedPagesAreTheirWeightAndReach) {
  ReadStatistics read = statistics(ordinary, 9, 1, 4);
  read.radius[4] = read.radius[8] = -1.0F;
  read.mass[4] = read.mass[8] = 64.0F;
  read.energy[4] = read.energy[8] = 0.0F;
  read.max_logit[4] = -7.0F;
  read.max_logit[8] = -inf;
  read.value_reach[4] = 5.0F;
  read.value_reach[8] = 50.0F;  // of no weight
  read.value_residual[4] = inf;
  read.sum_up();
  CertificateSums sums = run(read)[0];
  EXPECT_NEAR(sums.omitted, 64.0 * std::exp(-7.0 - read.log_sum_exp[0]), 3e-5 * sums.omitted);
  EXPECT_EQ(sums.omitted_reach, 5.0);
  EXPECT_LT(sums.value_residual, 1.0);
  for (const float logit : {inf, 1e30F, nan}) {
    read.max_logit[4] = logit;
    EXPECT_EQ(run(read)[0].omitted, inf);
  }
}

TEST_P(CertificateSumsTest, WhatIsNotOfOneReadIsUnknown) {
  const auto unknown = [](const ReadStatistics& read) {
    const CertificateSums sums = run(read)[0];
    return sums.excess == inf && sums.variance == inf && sums.lift == inf && sums.radius == inf && sums.shrink == 0.0;
  };
  const ReadStatistics read = statistics(ordinary, 11, 1, 5);
  EXPECT_FALSE(unknown(read));
  for (const std::size_t at : {0, 5, 10}) {
    for (const auto array : {&ReadStatistics::max_logit, &ReadStatistics::mass, &ReadStatistics::radius}) {
      ReadStatistics changed = read;
      (changed.*array)[at] = nan;
      EXPECT_TRUE(unknown(changed));
    }
    for (const float mass : {-1.0F, 0.25F, inf}) {
      ReadStatistics changed = read;
      changed.mass[at] = mass;
      EXPECT_TRUE(unknown(changed)) << mass;
    }
    ReadStatistics changed = read;
    changed.radius[at] = -2.0F;
    EXPECT_TRUE(unknown(changed));
    for (const float spread : {-1.0F, nan}) {
      changed = read;
      changed.spread[at] = spread;
      EXPECT_TRUE(unknown(changed)) << spread;
    }
    changed = read;
    changed.max_logit[at] = 1e30F;
    EXPECT_TRUE(unknown(changed));
    changed = read;
    changed.energy[at] = nan;
    EXPECT_EQ(run(changed)[0].energy, inf);
    EXPECT_EQ(run(changed)[0].paged_excess, inf);
    EXPECT_EQ(run(changed)[0].energy_below, 0.0);
    changed = read;
    for (const float residual : {-1.0F, nan}) {
      changed.value_residual[at] = residual;
      EXPECT_EQ(run(changed)[0].value_residual, inf) << residual;
    }
    changed = read;
    changed.value_spread[at] = inf;
    const double alone = run(changed)[0].value_residual;
    for (const float spread : {-1.0F, nan}) {
      changed.value_spread[at] = spread;
      EXPECT_EQ(run(changed)[0].value_residual, alone) << spread;
    }
    changed = read;
    changed.value_reach[at] = nan;
    EXPECT_EQ(run(changed)[0].output_rounding, inf);
  }
  for (const double shift : {-1.0, -0.01, 0.01, 1.0, 1e300, std::numeric_limits<double>::infinity(),
                             std::numeric_limits<double>::quiet_NaN()}) {
    ReadStatistics changed = read;
    changed.log_sum_exp[0] += shift;
    EXPECT_TRUE(unknown(changed)) << shift;
  }
}

TEST_P(CertificateSumsTest, HeadsAndReadsAreApart) {
  const std::vector<ReadStatistics> reads{statistics(ordinary, 5, 3, 6), statistics(huge_radii, 70, 3, 7),
                                          statistics(with_omitted, 12, 3, 8)};
  const std::vector<CertificateSums> together = run(reads);
  for (std::size_t i = 0; i < reads.size(); ++i) {
    const std::vector<CertificateSums> alone = run(reads[i]);
    for (std::size_t head = 0; head < 3; ++head)
      for (const Field& field : fields) EXPECT_EQ(together[3 * i + head].*field.sum, alone[head].*field.sum);
  }
}

TEST(CertificateSums, RefusesWrongShapes) {
  const auto message = [](KvRead read, std::size_t group, std::size_t sums) {
    std::vector<CertificateSums> out(sums);
    AttendShape shape;
    shape.group = group;
    return message_of<ShapeError>([&] { certificate_sums({}, shape, std::span(&read, 1), out); });
  };
  float number = 1.0F;
  double sum = 0.0;
  KvRead read;
  read.page_count = 1;
  read.log_sum_exp = &sum;
  read.statistics = {&number, &number, &number, &number, &number, &number, &number, &number};
  EXPECT_EQ(message(read, 1, 1), "no error");
  EXPECT_NE(message(read, 0, 0).find("group is 0"), std::string::npos);
  EXPECT_NE(message(read, 2, 1).find("sums has 1 entries, expected 2"), std::string::npos);
  read.page_count = 0;
  EXPECT_NE(message(read, 1, 1).find("no pages"), std::string::npos);
  read.page_count = 1;
  for (float* PageStatistics::*array :
       {&PageStatistics::energy, &PageStatistics::spread, &PageStatistics::value_spread}) {
    KvRead without = read;
    without.statistics.*array = nullptr;
    EXPECT_NE(message(without, 1, 1).find("statistics"), std::string::npos);
  }
}

}  // namespace
}  // namespace mpp::kernels

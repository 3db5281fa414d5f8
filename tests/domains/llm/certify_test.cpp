#include <limits>
#include <string>

#include <gtest/gtest.h>

#include <mpp/core/error.hpp>
#include <mpp/llm/attention_bound.hpp>

#include "domains/llm/coded_read.hpp"
#include "support/message_of.hpp"

namespace mpp::llm {
namespace {

using kernels::AttendRounding;

template <class Change>
std::size_t violations(Change&& change, std::size_t reads) {
  std::mt19937_64 engine(3);
  std::normal_distribution<float> normal;
  std::size_t violated = 0;
  constexpr std::pair<PageLevel, PageLevel> levels[] = {{PageLevel::bits4, PageLevel::bits4},
                                                        {PageLevel::bits8, PageLevel::bits4},
                                                        {PageLevel::bits8, PageLevel::bits8},
                                                        {PageLevel::bits12, PageLevel::bits8},
                                                        {PageLevel::exact, PageLevel::exact}};
  for (std::size_t i = 0; i < reads; ++i) {
    Cache cache = random_cache(1 + i % 5, i * 7 % 64, 32 << (i % 3), i % 4 == 0 ? 0.1 : 1.0, i);
    for (std::size_t p = 0; p < cache.pages.size(); ++p) {
      if (cache.pages[p].tokens < page_tokens) continue;
      const auto [key, value] = levels[(i + p * (i % 2)) % 5];
      cache.pages[p].key_level = key;
      cache.pages[p].value_level = value;
      if (i % 6 == 5 && p == 1) cache.pages[p].key_level = cache.pages[p].value_level = PageLevel::omitted;
    }
    std::vector<float> query(cache.head_dim());
    for (float& x : query) x = normal(engine) * (i % 3 == 0 ? 3.0F : 1.0F);
    const Read read(cache, query);
    CertificateSums sums = read.sums();
    change(sums);
    const AttentionCertificate certificate = certify(sums, read.norm());
    const True exact = truth(cache, read);
    if (!(exact.tv <= certificate.attention_tv && exact.error <= certificate.output_error &&
          certificate.output_error <= certificate.output_relative * exact.rms * 1.01))
      ++violated;
  }
  return violated;
}

TEST(Certify, HoldsForReadsOfRealPages) {
  EXPECT_EQ(violations([](CertificateSums&) {}, 600), 0U);
}
TEST(Certify, TheTestAboveCatchesWhatIsForgotten) {
  EXPECT_GT(violations(
                [](CertificateSums& sums) {
                  sums.excess = sums.variance = sums.lift = sums.lift_variance = sums.cosh_variance = 0.0;
                  sums.excess_square = sums.paged_excess = sums.radius = 0.0;
                },
                60),
            0U);
  EXPECT_GT(violations([](CertificateSums& sums) { sums.value_residual = 0.0; }, 60), 0U);
  EXPECT_GT(violations([](CertificateSums& sums) { sums.omitted = 0.0; }, 60), 0U);
}

// The sums of the kernels and those of the same numbers in double close to the same certificate, up to the rounding of the
// read: 2^-16 of masses and 2^-10 of energies.
TEST(Certify, AgreesWithTheReadPageByPage) {
  std::mt19937_64 engine(4);
  std::normal_distribution<float> normal;
  for (std::size_t i = 0; i < 60; ++i) {
    Cache cache = random_cache(6, 20, 64, 1.0, i);
    for (std::size_t p = 0; p < 6; ++p) {
      cache.pages[p].key_level = i % 10 == 9 && p == 3 ? PageLevel::omitted : PageLevel::bits8;
      cache.pages[p].value_level = i % 10 == 9 && p == 3 ? PageLevel::omitted : PageLevel::bits8;
    }
    std::vector<float> query(64);
    for (float& x : query) x = normal(engine);
    const Read read(cache, query);
    const AttendRounding told = kernels::attend_rounding(cache.pages.size());
    const CertificateSums sums = read.sums();
    std::vector<AttentionPage> pages;
    std::vector<OmittedPage> omitted;
    for (std::size_t p = 0; p < cache.pages.size(); ++p) {
      if (read.radius[p] == -1.0F) {
        omitted.push_back({64, read.max_logit[p], read.value_reach[p]});
        continue;
      }
      const double share = std::exp(static_cast<double>(read.max_logit[p]) - read.log_sum_exp);
      const double reach = read.value_reach[p];
      pages.push_back({share * static_cast<double>(read.mass[p]), read.radius[p],
                       share * static_cast<double>(read.energy[p]) * reach * reach, read.value_residual[p],
                       read.spread[p], read.value_spread[p], share});
    }
    AttentionRead same{pages, omitted, read.log_sum_exp, read.norm(), {}};
    same.rounding.mass.relative = told.mass + told.weight + told.log_sum_exp;
    same.rounding.energy.relative = told.energy + told.weight + told.log_sum_exp;
    same.rounding.log_sum_exp = told.log_sum_exp + told.mass + told.weight;
    same.rounding.output = sums.output_rounding;
    const AttentionCertificate certificate = certify(sums, read.norm());
    EXPECT_NEAR(certificate.attention_tv / attention_tv_bound(same), 1.0, 1e-3);
    EXPECT_NEAR(certificate.output_error / attention_output_bound(same).error, 1.0, 3e-3);
    EXPECT_NEAR(certificate.output_relative / attention_output_bound(same).relative, 1.0, 3e-3);
  }
}

TEST(Certify, WhatIsUnknownCertifiesNothing) {
  constexpr double inf = std::numeric_limits<double>::infinity();
  CertificateSums sums;
  sums.affinity = sums.shrink = 1.0;
  sums.energy = sums.energy_below = 1.0;
  EXPECT_EQ(certify(sums, 0.5).attention_tv, 0.0);
  EXPECT_EQ(certify(sums, 0.5).output_relative, 0.0);
  for (const auto field : {&CertificateSums::excess, &CertificateSums::omitted}) {
    CertificateSums unknown = sums;
    unknown.*field = inf;
    EXPECT_EQ(certify(unknown, 0.5).attention_tv, 1.0);
  }
  for (const auto field :
       {&CertificateSums::excess, &CertificateSums::value_residual, &CertificateSums::output_rounding}) {
    CertificateSums unknown = sums;
    unknown.*field = inf;
    EXPECT_EQ(certify(unknown, 0.5).output_error, inf);
    EXPECT_EQ(certify(unknown, 0.5).output_relative, inf);
  }
}

TEST(Certify, RefusesWhatCannotBeASum) {
  constexpr double nan = std::numeric_limits<double>::quiet_NaN();
  const auto message = [](CertificateSums sums, double norm) {
    return test::message_of<ValueError>([&] { static_cast<void>(certify(sums, norm)); });
  };
  CertificateSums sums;
  sums.energy = 1.0;
  EXPECT_EQ(message(sums, 1.0), "no error");
  for (const double bad : {nan, -1.0}) {
    EXPECT_NE(message(sums, bad).find("output_norm"), std::string::npos);
    CertificateSums changed = sums;
    changed.lift_variance = bad;
    EXPECT_NE(message(changed, 1.0).find("sums.lift_variance is"), std::string::npos);
    changed = sums;
    changed.output_rounding = bad;
    EXPECT_NE(message(changed, 1.0).find("sums.output_rounding is"), std::string::npos);
  }
  EXPECT_NE(message(sums, std::numeric_limits<double>::infinity()).find("output_norm"), std::string::npos);
  EXPECT_NE(message(sums, 1.1).find("different reads"), std::string::npos);
}

}  // namespace
}  // namespace mpp::llm

#include <cmath>
#include <limits>
#include <random>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include <mpp/core/error.hpp>
#include <mpp/kernels/quantize_page.hpp>
#include <mpp/llm/attention_bound.hpp>

#include "support/message_of.hpp"

namespace mpp::llm {
namespace {

using kernels::AttendRounding;
using kernels::CertificateSums;
using kernels::Half;
using kernels::KvPage;
using kernels::page_tokens;
using kernels::PageLevel;

/// One KV head in float16: full pages of codes and an open page, with what is needed to read it exactly.
class Cache {
 public:
  Cache(std::size_t full_pages, std::size_t open_tokens, std::size_t head_dim, double key_size, std::uint64_t seed)
      : head_dim_(head_dim), tokens_(full_pages * page_tokens + open_tokens) {
    std::mt19937_64 engine(seed);
    std::normal_distribution<double> normal;
    std::vector<double> offset(head_dim);
    for (double& x : offset) x = 2.0 * normal(engine);
    for (std::size_t i = 0; i < tokens_ * head_dim; ++i) {
      keys_.push_back(kernels::nearest_half(key_size * (normal(engine) + offset[i % head_dim])).bits);
      values_.push_back(kernels::nearest_half(normal(engine) + 0.5 * offset[i % head_dim]).bits);
    }
    metadata_.resize(full_pages + 1, std::vector<std::byte>(kernels::page_metadata_bytes(head_dim)));
    planes_.resize(5 * full_pages, std::vector<std::uint32_t>(kernels::page_plane_bytes(head_dim) / 4));
    for (std::size_t p = 0; p <= full_pages; ++p) {
      if (p == full_pages && open_tokens == 0) continue;
      kernels::PageToQuantize page;
      page.keys = &keys_[p * page_tokens * head_dim];
      page.values = &values_[p * page_tokens * head_dim];
      page.metadata = metadata_[p].data();
      KvPage view;
      view.metadata = page.metadata;
      view.tokens = static_cast<std::uint16_t>(p == full_pages ? open_tokens : page_tokens);
      view.exact_keys = page.keys;
      view.exact_values = page.values;
      view.key_level = view.value_level = PageLevel::exact;
      if (p < full_pages) {
        for (std::size_t i = 0; i < 5; ++i) {
          std::uint32_t* plane = planes_[5 * p + i].data();
          (i < 3 ? page.key_planes[i] : page.value_planes[i - 3]) = plane;
          (i < 3 ? view.key_planes[i] : view.value_planes[i - 3]) = plane;
        }
        kernels::quantize_page({}, kernels::KvType::float16, head_dim, std::span(&page, 1));
      } else {
        kernels::summarize_page({}, kernels::KvType::float16, head_dim, page, open_tokens);
      }
      pages.push_back(view);
    }
  }

  std::vector<KvPage> pages;

  /// Logits of all tokens, and where a page is omitted, whatever it has.
  std::vector<double> logits(const std::vector<float>& query, float scale) const {
    std::vector<double> logits(tokens_);
    for (std::size_t i = 0; i < tokens_; ++i)
      for (std::size_t d = 0; d < head_dim_; ++d)
        logits[i] += static_cast<double>(scale) * query[d] * number(keys_[i * head_dim_ + d]);
    return logits;
  }
  double value(std::size_t token, std::size_t d) const { return number(values_[token * head_dim_ + d]); }
  std::size_t tokens() const { return tokens_; }
  std::size_t head_dim() const { return head_dim_; }

 private:
  static double number(std::uint16_t bits) { return static_cast<double>(kernels::to_float(Half{bits})); }

  std::size_t head_dim_, tokens_;
  std::vector<std::uint16_t> keys_, values_;
  std::vector<std::vector<std::byte>> metadata_;
  std::vector<std::vector<std::uint32_t>> planes_;
};

/// What attend_paged() gives for a cache, a group of one.
struct Read {
  std::vector<float> query, output, max_logit, mass, radius, spread, energy, value_residual, value_spread, value_reach;
  double log_sum_exp = 0.0;
  kernels::AttendShape shape;
  kernels::KvRead view;

  Read(const Cache& cache, std::vector<float> asked)
      : query(std::move(asked)), output(cache.head_dim()), max_logit(cache.pages.size()), mass(max_logit), radius(mass),
        spread(mass), energy(mass), value_residual(mass), value_spread(mass), value_reach(mass) {
    shape.head_dim = cache.head_dim();
    shape.scale = static_cast<float>(1.0 / std::sqrt(static_cast<double>(cache.head_dim())));
    view.pages = cache.pages.data();
    view.page_count = cache.pages.size();
    view.queries = query.data();
    view.output = output.data();
    view.log_sum_exp = &log_sum_exp;
    view.statistics = {max_logit.data(),      mass.data(),         radius.data(),      spread.data(), energy.data(),
                       value_residual.data(), value_spread.data(), value_reach.data()};
    kernels::attend_paged({}, shape, std::span(&view, 1));
  }
  double norm() const {
    double square = 0.0;
    for (const float x : output) square += static_cast<double>(x) * static_cast<double>(x);
    return std::sqrt(square);
  }
  CertificateSums sums() const {
    CertificateSums made;
    kernels::certificate_sums({}, shape, std::span(&view, 1), std::span(&made, 1));
    return made;
  }
};

struct True {
  double tv = 0.0, error = 0.0, rms = 0.0;
};
/// Against the exact cache. p~ is not told by the kernel: the logits of codes are computed here, by code, for the least of
/// all: the total variation of page masses, which is at most that of tokens.
True truth(const Cache& cache, const Read& read) {
  const std::vector<double> logits = cache.logits(read.query, read.shape.scale);
  double largest = -1e300, total = 0.0;
  for (const double logit : logits) largest = std::max(largest, logit);
  for (const double logit : logits) total += std::exp(logit - largest);
  True found;
  double square = 0.0, distance = 0.0;
  for (std::size_t p = 0, token = 0; p < cache.pages.size(); ++p) {
    double exact = 0.0;
    for (std::size_t i = 0; i < cache.pages[p].tokens; ++i, ++token) exact += std::exp(logits[token] - largest) / total;
    const bool omitted = read.radius[p] == -1.0F;
    const double share = omitted ? 0.0 : std::exp(static_cast<double>(read.max_logit[p]) - read.log_sum_exp);
    distance += std::abs(exact - share * static_cast<double>(read.mass[p]));
    found.rms += share * static_cast<double>(read.energy[p]) * std::pow(static_cast<double>(read.value_reach[p]), 2.0);
  }
  for (std::size_t d = 0; d < cache.head_dim(); ++d) {
    double exact = 0.0;
    for (std::size_t i = 0; i < cache.tokens(); ++i) exact += std::exp(logits[i] - largest) / total * cache.value(i, d);
    square += std::pow(exact - static_cast<double>(read.output[d]), 2.0);
  }
  found.tv = 0.5 * distance - 1e-4;  // of the masses, in float
  found.error = std::sqrt(square);
  found.rms = std::sqrt(found.rms);
  return found;
}

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
    Cache cache(1 + i % 5, i * 7 % 64, 32 << (i % 3), i % 4 == 0 ? 0.1 : 1.0, i);
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
    Cache cache(6, 20, 64, 1.0, i);
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
  }
  EXPECT_NE(message(sums, std::numeric_limits<double>::infinity()).find("output_norm"), std::string::npos);
  EXPECT_NE(message(sums, 1.1).find("different reads"), std::string::npos);
}

}  // namespace
}  // namespace mpp::llm

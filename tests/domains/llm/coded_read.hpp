#pragma once
#include <cmath>
#include <functional>
#include <random>
#include <vector>

#include <mpp/kernels/certificate_sums.hpp>
#include <mpp/kernels/quantize_page.hpp>

namespace mpp::llm {

using kernels::CertificateSums;
using kernels::KvPage;
using kernels::page_tokens;
using kernels::PageLevel;

/// One KV head in float16: full pages of codes and an open page, with what is needed to read it exactly.
class Cache {
 public:
  using Number = std::function<double(std::size_t token, std::size_t channel)>;

  /// key, value: called for token after token, channel after channel; rounded to float16.
  Cache(std::size_t full_pages, std::size_t open_tokens, std::size_t head_dim, const Number& key, const Number& value)
      : head_dim_(head_dim), tokens_(full_pages * page_tokens + open_tokens) {
    for (std::size_t i = 0; i < tokens_; ++i)
      for (std::size_t d = 0; d < head_dim; ++d) {
        keys_.push_back(kernels::nearest_half(key(i, d)).bits);
        values_.push_back(kernels::nearest_half(value(i, d)).bits);
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
  static double number(std::uint16_t bits) { return static_cast<double>(kernels::to_float(kernels::Half{bits})); }

  std::size_t head_dim_, tokens_;
  std::vector<std::uint16_t> keys_, values_;
  std::vector<std::vector<std::byte>> metadata_;
  std::vector<std::vector<std::uint32_t>> planes_;
};

/// Random numbers around an offset of each channel.
inline Cache random_cache(std::size_t full_pages, std::size_t open_tokens, std::size_t head_dim, double key_size,
                          std::uint64_t seed) {
  std::mt19937_64 engine(seed);
  std::normal_distribution<double> normal;
  std::vector<double> offset(head_dim);
  for (double& x : offset) x = 2.0 * normal(engine);
  return {full_pages, open_tokens, head_dim,
          [&](std::size_t, std::size_t d) { return key_size * (normal(engine) + offset[d]); },
          [&](std::size_t, std::size_t d) { return normal(engine) + 0.5 * offset[d]; }};
}

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
    view.statistics = {max_logit.data(), mass.data(),           radius.data(),       spread.data(),
                       energy.data(),    value_residual.data(), value_spread.data(), value_reach.data()};
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
inline True truth(const Cache& cache, const Read& read) {
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

}  // namespace mpp::llm

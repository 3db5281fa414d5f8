#include "support/attention_check.hpp"

#include <algorithm>
#include <array>
#include <cmath>

#include <mpp/kernels/quantize_page.hpp>

namespace mpp::examples {
namespace {

using kernels::page_tokens;
using kernels::PageLevel;

float scale_of(const AttentionScene& scene) { return 1.0F / std::sqrt(static_cast<float>(scene.head_dim)); }

// Softmax of scale q.k over all tokens, in double.
std::vector<double> exact_weights(const AttentionScene& scene, std::span<const float> query, std::size_t kv_head) {
  std::vector<double> weights(scene.kv_len);
  for (std::size_t i = 0; i < scene.kv_len; ++i) {
    double logit = 0.0;
    for (std::size_t j = 0; j < scene.head_dim; ++j) logit += static_cast<double>(query[j]) * scene.key(i, kv_head, j);
    weights[i] = logit * static_cast<double>(scale_of(scene));
  }
  const double most = *std::ranges::max_element(weights);
  double total = 0.0;
  for (double& weight : weights) total += weight = std::exp(weight - most);
  for (double& weight : weights) weight /= total;
  return weights;
}

}  // namespace

AttentionCheck::AttentionCheck(const AttentionScene& scene) : scene_(scene) {
  for (std::size_t h = 0; h < scene.num_kv_heads; ++h)
    for (std::size_t p = 0; p < pages(); ++p) coded_.push_back(code(h, p));
  const std::uint16_t one = kernels::nearest_half(1.0).bits;
  for (std::size_t first = 0; first < page_tokens; first += scene.head_dim) {
    std::vector<std::uint16_t>& unit = units_.emplace_back(page_tokens * scene.head_dim);
    for (std::size_t i = first; i < std::min(page_tokens, first + scene.head_dim); ++i)
      unit[i * scene.head_dim + i - first] = one;
  }
}

AttentionCheck::CodedPage AttentionCheck::code(std::size_t kv_head, std::size_t page) const {
  const std::size_t d = scene_.head_dim;
  CodedPage made;
  made.tokens = std::min(page_tokens, scene_.kv_len - page * page_tokens);
  made.metadata.resize(kernels::page_metadata_bytes(d));
  for (std::size_t i = 0; i < made.tokens; ++i) {
    const auto row = static_cast<std::ptrdiff_t>(((page * page_tokens + i) * scene_.num_kv_heads + kv_head) * d);
    made.keys.insert(made.keys.end(), scene_.keys.begin() + row,
                     scene_.keys.begin() + row + static_cast<std::ptrdiff_t>(d));
    made.values.insert(made.values.end(), scene_.values.begin() + row,
                       scene_.values.begin() + row + static_cast<std::ptrdiff_t>(d));
  }
  kernels::PageToQuantize target{made.keys.data(), made.values.data(), made.metadata.data()};
  if (made.tokens < page_tokens) {
    kernels::summarize_page({}, kernels::KvType::float16, d, target, made.tokens);
    return made;
  }
  for (auto& plane : made.planes) plane.resize(kernels::page_plane_bytes(d) / sizeof(std::uint32_t));
  for (std::size_t i = 0; i < 3; ++i) target.key_planes[i] = made.planes[i].data();
  for (std::size_t i = 0; i < 2; ++i) target.value_planes[i] = made.planes[3 + i].data();
  kernels::quantize_page({}, kernels::KvType::float16, d, std::array{target});
  return made;
}

// [group][kv_len]
std::vector<double> AttentionCheck::weights(std::span<const float> queries, std::size_t kv_head,
                                            const PageLevels& levels) const {
  const std::size_t d = scene_.head_dim, group = scene_.group;
  const kernels::AttendShape shape{d, group, kernels::KvType::float16, scale_of(scene_)};
  std::vector<double> found(group * scene_.kv_len, 0.0);
  std::vector<std::vector<double>> log_sums(pages(), std::vector<double>(group, -INFINITY));
  std::vector<float> output(group * d);
  for (std::size_t p = 0; p < pages(); ++p) {
    const CodedPage& coded = coded_[kv_head * pages() + p];
    kernels::KvPage page;
    page.metadata = coded.metadata.data();
    page.key_level = levels[kv_head * pages() + p][0];
    if (page.key_level == PageLevel::omitted) continue;
    page.value_level = PageLevel::exact;
    page.tokens = static_cast<std::uint16_t>(coded.tokens);
    page.exact_keys = coded.keys.data();
    for (std::size_t i = 0; i < 3; ++i) page.key_planes[i] = coded.planes[i].data();
    for (std::size_t part = 0; part < units_.size(); ++part) {
      page.exact_values = units_[part].data();
      kernels::attend_paged(
          {}, shape, std::array{kernels::KvRead{&page, 1, queries.data(), output.data(), log_sums[p].data(), {}}});
      for (std::size_t g = 0; g < group; ++g)
        for (std::size_t i = part * d; i < std::min(coded.tokens, (part + 1) * d); ++i)
          found[g * scene_.kv_len + p * page_tokens + i] = output[g * d + i - part * d];
    }
  }
  for (std::size_t g = 0; g < group; ++g) {
    double most = -INFINITY, total = 0.0;
    for (const auto& log_sum : log_sums) most = std::max(most, log_sum[g]);
    for (const auto& log_sum : log_sums) total += std::exp(log_sum[g] - most);
    for (std::size_t i = 0; i < scene_.kv_len; ++i)
      found[g * scene_.kv_len + i] *= std::exp(log_sums[i / page_tokens][g] - most) / total;
  }
  return found;
}

AttentionError AttentionCheck::error(const AttentionScene::Read& read, const PageLevels& levels,
                                     std::span<const float> output) const {
  const std::size_t d = scene_.head_dim, group = scene_.group;
  AttentionError worst;
  for (std::size_t h = 0; h < scene_.num_kv_heads; ++h) {
    const auto queries = std::span(read.queries).subspan(h * group * d, group * d);
    const std::vector<double> given = weights(queries, h, levels);
    for (std::size_t g = 0; g < group; ++g) {
      const std::vector<double> exact = exact_weights(scene_, queries.subspan(g * d, d), h);
      const auto used = std::span(given).subspan(g * scene_.kv_len, scene_.kv_len);
      double tv = 0.0, energy = 0.0;
      std::vector<double> sum(d);
      for (std::size_t i = 0; i < scene_.kv_len; ++i) {
        tv += 0.5 * std::abs(exact[i] - used[i]);
        for (std::size_t j = 0; j < d; ++j) {
          const double value = scene_.value(i, h, j);
          sum[j] += exact[i] * value;
          energy += used[i] * value * value;
        }
      }
      double square = 0.0;
      for (std::size_t j = 0; j < d; ++j) {
        const double off = sum[j] - static_cast<double>(output[(h * group + g) * d + j]);
        square += off * off;
      }
      worst.attention_tv = std::max(worst.attention_tv, tv);
      worst.attention_output = std::max(worst.attention_output, std::sqrt(square / energy));
    }
  }
  return worst;
}

}  // namespace mpp::examples

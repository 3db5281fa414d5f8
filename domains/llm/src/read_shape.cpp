#include "read_shape.hpp"

#include <algorithm>
#include <cmath>

#include <mpp/core/error.hpp>

namespace mpp::llm {
namespace {

using kernels::KvPage;
using kernels::PageLevel;

std::size_t missing(const std::uint32_t* const* planes, PageLevel target) noexcept {
  if (target == PageLevel::exact) return 0;
  std::size_t n = 0;
  for (std::size_t b = 0; b < static_cast<std::size_t>(target); ++b) n += planes[b] == nullptr ? 1 : 0;
  return n;
}

}  // namespace

ReadShape check_request(const AttentionRequest& request) {
  expects<ValueError>(request.cache != nullptr, "AttentionRequest: cache is null");
  const KvGeometry& geometry = request.cache->geometry();
  const std::size_t rows = request.queries.size() / geometry.head_dim, heads = geometry.num_kv_heads;
  const std::size_t group = rows / heads;
  expects<ShapeError>(
      group >= 1 && group <= kernels::max_group && request.queries.size() == heads * group * geometry.head_dim,
      "AttentionRequest: queries has ", request.queries.size(), " values, expected 1 to ", kernels::max_group,
      " times num_kv_heads x head_dim = ", heads * geometry.head_dim);
  expects<ValueError>(request.scale >= 0.0F && std::isfinite(request.scale), "AttentionRequest: scale is ",
                      request.scale, ", expected a finite number >= 0");
  expects<ValueError>(request.metric <= AttentionMetric::attention_output, "AttentionRequest: metric is ",
                      static_cast<int>(request.metric), ", expected attention_tv or attention_output");
  expects<ValueError>(request.epsilon.value >= 0.0, "AttentionRequest: epsilon is ", request.epsilon.value,
                      ", expected >= 0");
  const std::size_t pages = request.cache->pages(request.sequence, request.layer, 0).size();
  expects<ShapeError>(pages >= 1 && pages <= kernels::max_read_pages, "AttentionRequest: layer ", request.layer,
                      " has ", pages, " pages, expected 1 to ", kernels::max_read_pages);
  return {heads, group, pages, geometry.head_dim};
}

Footprint base_bytes(const AttentionRequest& request, const ReadShape& shape) {
  const kernels::Context& context = request.cache->context();
  const std::size_t queries = shape.heads * shape.group, pages = shape.heads * shape.pages;
  return Mirrored<KvPage>::bytes(context, pages) + Mirrored<float>::bytes(context, shape.heads * shape.statistics()) +
         Mirrored<float>::bytes(context, queries * shape.dim) + Mirrored<double>::bytes(context, queries) +
         Footprint::host(bytes_of<kernels::KvRead>(shape.heads) + bytes_of<kernels::CertificateSums>(queries) +
                         bytes_of<AttentionCertificate>(queries) + bytes_of<Targets>(pages) +
                         bytes_of<PromotionStep>(4 * shape.pages) + bytes_of<float>(shape.statistics()));
}

Footprint plane_bytes(const AttentionRequest& request, const ReadShape& shape, std::size_t planes) {
  return DeviceBlock::bytes(request.cache->context(), planes * kernels::page_plane_bytes(shape.dim));
}

std::size_t missing_planes(const KvPage& page, const Targets& target) noexcept {
  return missing(page.key_planes, target[0]) + missing(page.value_planes, target[1]);
}

Targets highest_targets(const KvPage& page, AttentionMetric metric) noexcept {
  if (page.exact_keys == nullptr || page.exact_values == nullptr) return {page.key_level, page.value_level};
  const PageLevel values = metric == AttentionMetric::attention_tv ? PageLevel::bits4 : PageLevel::bits8;
  return {std::max(page.key_level, PageLevel::bits12), std::max(page.value_level, values)};
}

std::size_t most_planes(const AttentionRequest& request, const ReadShape& shape) {
  std::size_t planes = 0;
  for (std::size_t head = 0; head < shape.heads; ++head)
    for (const KvPage& page : request.cache->pages(request.sequence, request.layer, head))
      planes += missing_planes(page, highest_targets(page, request.metric));
  return planes;
}

double norm(std::span<const float> vector) noexcept {
  double square = 0.0;
  for (const float x : vector) square += static_cast<double>(x) * static_cast<double>(x);
  return std::sqrt(square);
}

}  // namespace mpp::llm

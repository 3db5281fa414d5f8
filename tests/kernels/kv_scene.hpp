#pragma once
#include <functional>

#include <mpp/kernels/quantize_page.hpp>

#include "kernels/samples.hpp"
#include "reference/page_promise.hpp"

namespace mpp::kernels {

using reference::PageBytes;
using reference::stored;
using reference::StoredRows;

/// The exact keys and values of one page, on the host.
struct ExactPage {
  KvType type = KvType::float16;
  std::size_t head_dim = 0;
  std::vector<std::uint16_t> keys, values;  ///< [tokens][head_dim]

  [[nodiscard]] StoredRows key_rows() const { return {type, head_dim, keys}; }
  [[nodiscard]] StoredRows value_rows() const { return {type, head_dim, values}; }
  [[nodiscard]] std::size_t tokens() const { return keys.size() / head_dim; }
};

using Sampler = std::function<double(std::mt19937_64&, std::size_t token, std::size_t channel)>;

inline ExactPage exact_page(KvType type, std::size_t head_dim, unsigned seed, const Sampler& key, const Sampler& value,
                            std::size_t tokens = page_tokens) {
  std::mt19937_64 random(seed);
  ExactPage page{type, head_dim, {}, {}};
  for (std::size_t i = 0; i < tokens; ++i)
    for (std::size_t j = 0; j < head_dim; ++j) {
      page.keys.push_back(stored(type, key(random, i, j)));
      page.values.push_back(stored(type, value(random, i, j)));
    }
  return page;
}

/// Families of numbers that break quantizers.
struct Family {
  const char* name;
  Sampler sample;
};
inline std::vector<Family> families() {
  using Random = std::mt19937_64;
  const auto normal = [](Random& random) { return std::normal_distribution<double>()(random); };
  const auto unit = [](Random& random) { return std::uniform_real_distribution<double>()(random); };
  return {
      {"gaussian", [=](Random& random, std::size_t, std::size_t) { return normal(random); }},
      {"outlier channels",
       [=](Random& random, std::size_t, std::size_t j) {
         return (j % 13 == 5 ? 40.0 : 1.0) * normal(random) + (j % 17 == 3 ? 100.0 : 0.0);
       }},
      {"near-constant channels",
       [=](Random& random, std::size_t i, std::size_t j) {
         return j % 2 == 0 ? 10.0 + (i == 7 ? 0.0078125 : 0.0) : normal(random) * 1e-7;
       }},
      {"one value", [](Random&, std::size_t, std::size_t j) { return j % 3 == 0   ? 0.0
                                                                     : j % 3 == 1 ? -7.3
                                                                                  : 1e-6; }},
      {"denormals", [=](Random& random, std::size_t, std::size_t) { return std::ldexp(normal(random), -22); }},
      {"largest",
       [=](Random& random, std::size_t i, std::size_t j) {
         return (i + j) % 3 == 0 ? 65504.0 : (i + j) % 3 == 1 ? -65504.0 : 60000.0 * (2.0 * unit(random) - 1.0);
       }},
      {"wide", [=](Random& random, std::size_t,
                   std::size_t) { return std::ldexp(normal(random), static_cast<int>(38.0 * unit(random)) - 24); }},
      {"cell borders",
       [=](Random& random, std::size_t i, std::size_t j) {  // zero 0, step 2^-5: every third on a border
         return i == 0             ? 0.0
                : i == 1           ? 8.0
                : (i + j) % 3 == 0 ? std::floor(256.0 * unit(random)) / 32.0
                                   : 8.0 * unit(random);
       }},
  };
}

/// One page in the memory of a device, with all planes.
class DevicePage {
 public:
  /// @param coded  a full page in planes; otherwise an open page, of which only the summary is written
  DevicePage(const Context& context, const ExactPage& exact, std::uint32_t generation = 1, bool coded = true)
      : type_(exact.type), head_dim_(exact.head_dim), tokens_(exact.tokens()), generation_(generation),
        keys_(context, std::span<const std::uint16_t>(exact.keys)),
        values_(context, std::span<const std::uint16_t>(exact.values)) {
    PageSummary summary;
    summary.generation = generation;
    std::vector<std::byte> bytes(page_metadata_bytes(head_dim_));
    std::memcpy(bytes.data(), &summary, sizeof summary);
    metadata_ = DeviceArray<std::byte>(context, std::span<const std::byte>(bytes));
    if (!coded || tokens_ < page_tokens) {
      summarize_page(context, type_, head_dim_, target(), tokens_);
      return;
    }
    for (auto& plane : key_planes_) plane = DeviceArray<std::uint32_t>(context, page_plane_bytes(head_dim_) / 4);
    for (auto& plane : value_planes_) plane = DeviceArray<std::uint32_t>(context, page_plane_bytes(head_dim_) / 4);
    quantize_page(context, type_, head_dim_, std::array{target()});
  }

  [[nodiscard]] PageToQuantize target() {
    PageToQuantize page{keys_.span().data(), values_.span().data(), metadata_.span().data()};
    for (std::size_t p = 0; p < 3; ++p) page.key_planes[p] = key_planes_[p].span().data();
    for (std::size_t p = 0; p < 2; ++p) page.value_planes[p] = value_planes_[p].span().data();
    return page;
  }

  /// With the planes that the levels need and no others.
  [[nodiscard]] KvPage view(PageLevel key_level, PageLevel value_level) const {
    KvPage page;
    page.metadata = metadata_.span().data();
    page.generation = generation_;
    page.tokens = static_cast<std::uint16_t>(tokens_);
    page.key_level = key_level;
    page.value_level = value_level;
    if (key_level == PageLevel::exact) page.exact_keys = keys_.span().data();
    if (value_level == PageLevel::exact) page.exact_values = values_.span().data();
    for (std::size_t p = 0; key_level < PageLevel::exact && p < static_cast<std::size_t>(key_level); ++p)
      page.key_planes[p] = key_planes_[p].span().data();
    for (std::size_t p = 0; value_level < PageLevel::exact && p < static_cast<std::size_t>(value_level); ++p)
      page.value_planes[p] = value_planes_[p].span().data();
    return page;
  }

  [[nodiscard]] PageBytes to_host() const {
    PageBytes host(head_dim_);
    host.metadata = metadata_.to_host();
    for (std::size_t p = 0; p < 3 && key_planes_[0].size() > 0; ++p) host.key_planes[p] = key_planes_[p].to_host();
    for (std::size_t p = 0; p < 2 && key_planes_[0].size() > 0; ++p) host.value_planes[p] = value_planes_[p].to_host();
    return host;
  }

 private:
  KvType type_;
  std::size_t head_dim_, tokens_;
  std::uint32_t generation_;
  DeviceArray<std::uint16_t> keys_, values_;
  DeviceArray<std::byte> metadata_;
  std::array<DeviceArray<std::uint32_t>, 3> key_planes_;
  std::array<DeviceArray<std::uint32_t>, 2> value_planes_;
};

}  // namespace mpp::kernels

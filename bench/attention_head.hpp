#pragma once
// One KV head: its pages at every level, and what the codes leave out, as doubles for the oracle.
#include <algorithm>
#include <vector>

#include <mpp/core/error.hpp>
#include <mpp/kernels/attend_paged.hpp>
#include <mpp/kernels/device_array.hpp>
#include <mpp/kernels/quantize_page.hpp>

#include "reference/quantize_page.hpp"

namespace mpp::bench {

using kernels::KvPage;
using kernels::KvType;
using kernels::page_tokens;
using kernels::PageLevel;

/// Levels of keys and values of a page.
struct PageLevels {
  const char* name;
  PageLevel key, value;
};
inline constexpr PageLevels k4v4{"k4v4", PageLevel::bits4, PageLevel::bits4};
inline constexpr PageLevels k8v4{"k8v4", PageLevel::bits8, PageLevel::bits4};
inline constexpr PageLevels k8v8{"k8v8", PageLevel::bits8, PageLevel::bits8};
inline constexpr PageLevels k12v8{"k12v8", PageLevel::bits12, PageLevel::bits8};
inline constexpr PageLevels exact_pages{"exact", PageLevel::exact, PageLevel::exact};

/// Keys and values as they are stored, [tokens][head_dim].
struct KvRows {
  KvType type = KvType::float16;
  std::size_t head_dim = 0;
  std::vector<std::uint16_t> keys, values;
  [[nodiscard]] std::size_t tokens() const { return keys.size() / head_dim; }
};

/// The pages of `rows` in memory of the CPU: full ones coded in all planes, the last one open if it is not full.
class CodedHead {
 public:
  /// @param fault  coded by the naive quantizer with this mistake, instead of by the library
  explicit CodedHead(const KvRows& rows, reference::QuantizerFault fault = reference::QuantizerFault::none)
      : type_(rows.type), head_dim_(rows.head_dim), tokens_(rows.tokens()), keys_({}, rows.keys),
        values_({}, rows.values), metadata_({}, pages() * metadata_bytes()) {
    for (auto& plane : key_planes_) plane = {{}, pages() * plane_words()};
    for (auto& plane : value_planes_) plane = {{}, pages() * plane_words()};
    for (std::size_t p = 0; p < pages(); ++p) code(p, rows, fault);
  }

  [[nodiscard]] std::size_t head_dim() const { return head_dim_; }
  [[nodiscard]] std::size_t tokens() const { return tokens_; }
  [[nodiscard]] std::size_t pages() const { return (tokens_ + page_tokens - 1) / page_tokens; }
  [[nodiscard]] KvType type() const { return type_; }
  [[nodiscard]] kernels::PageFields<const std::byte> fields(std::size_t page) const {
    return {metadata_.span().data() + page * metadata_bytes(), head_dim_};
  }

  [[nodiscard]] KvPage view(std::size_t page, PageLevel key, PageLevel value) const {
    KvPage view;
    view.metadata = metadata_.span().data() + page * metadata_bytes();
    for (std::size_t p = 0; p < 3; ++p) view.key_planes[p] = key_planes_[p].span().data() + page * plane_words();
    for (std::size_t p = 0; p < 2; ++p) view.value_planes[p] = value_planes_[p].span().data() + page * plane_words();
    view.exact_keys = keys_.span().data() + page * page_tokens * head_dim_;
    view.exact_values = values_.span().data() + page * page_tokens * head_dim_;
    view.tokens = static_cast<std::uint16_t>(std::min(page_tokens, tokens_ - page * page_tokens));
    const bool open = view.tokens < page_tokens;
    view.key_level = open && key != PageLevel::omitted ? PageLevel::exact : key;
    view.value_level = open && value != PageLevel::omitted ? PageLevel::exact : value;
    return view;
  }

  /// The first tokens of a page, exact: what it was before it was full.
  [[nodiscard]] KvPage open_view(std::size_t page, std::size_t tokens) const {
    KvPage view = this->view(page, PageLevel::exact, PageLevel::exact);
    view.tokens = static_cast<std::uint16_t>(tokens);
    return view;
  }

  /// A key, or what its code stands for.
  [[nodiscard]] double key(std::size_t token, std::size_t channel, PageLevel level) const {
    if (level == PageLevel::exact || level == PageLevel::omitted)
      return reference::stored_value(type_, keys_.span()[token * head_dim_ + channel]);
    return codes_[token / page_tokens].key(token % page_tokens, channel, level);
  }
  [[nodiscard]] double value(std::size_t token, std::size_t channel) const {
    return reference::stored_value(type_, values_.span()[token * head_dim_ + channel]);
  }

 private:
  [[nodiscard]] std::size_t metadata_bytes() const { return kernels::page_metadata_bytes(head_dim_); }
  [[nodiscard]] std::size_t plane_words() const { return kernels::page_plane_bytes(head_dim_) / 4; }

  void code(std::size_t p, const KvRows& rows, reference::QuantizerFault fault) {
    kernels::PageToQuantize page{keys_.span().data() + p * page_tokens * head_dim_,
                                 values_.span().data() + p * page_tokens * head_dim_,
                                 metadata_.span().data() + p * metadata_bytes()};
    for (std::size_t i = 0; i < 3; ++i) page.key_planes[i] = key_planes_[i].span().data() + p * plane_words();
    for (std::size_t i = 0; i < 2; ++i) page.value_planes[i] = value_planes_[i].span().data() + p * plane_words();
    const std::size_t tokens = std::min(page_tokens, tokens_ - p * page_tokens);
    if (tokens < page_tokens) return kernels::summarize_page({}, type_, head_dim_, page, tokens);
    reference::PageBytes codes(head_dim_);
    if (fault == reference::QuantizerFault::none) {
      kernels::quantize_page({}, type_, head_dim_, std::array{page});
      std::copy_n(page.metadata, metadata_bytes(), codes.metadata.data());
      for (std::size_t i = 0; i < 3; ++i) std::copy_n(page.key_planes[i], plane_words(), codes.key_planes[i].data());
    } else {
      const std::size_t begin = p * page_tokens * head_dim_, count = page_tokens * head_dim_;
      codes = reference::quantize_page({type_, head_dim_, std::span(rows.keys).subspan(begin, count)},
                                       {type_, head_dim_, std::span(rows.values).subspan(begin, count)}, fault);
      std::copy_n(codes.metadata.data(), metadata_bytes(), page.metadata);
      for (std::size_t i = 0; i < 3; ++i) std::copy_n(codes.key_planes[i].data(), plane_words(), page.key_planes[i]);
      for (std::size_t i = 0; i < 2; ++i)
        std::copy_n(codes.value_planes[i].data(), plane_words(), page.value_planes[i]);
    }
    codes_.push_back(std::move(codes));
  }

  KvType type_;
  std::size_t head_dim_, tokens_;
  kernels::DeviceArray<std::uint16_t> keys_, values_;
  kernels::DeviceArray<std::byte> metadata_;
  std::array<kernels::DeviceArray<std::uint32_t>, 3> key_planes_;
  std::array<kernels::DeviceArray<std::uint32_t>, 2> value_planes_;
  std::vector<reference::PageBytes> codes_;  ///< of full pages, for the oracle: its own reading of the planes
};

}  // namespace mpp::bench

#pragma once
#include <cstddef>
#include <span>
#include <vector>

#include <mpp/llm/kv_tier.hpp>

#include "support/attention_scene.hpp"

namespace mpp::examples {

/// How far a released read really is from attention over the exact keys and values in double precision; the worst head.
struct AttentionError {
  double attention_tv{}, attention_output{};
};

/// Levels of all pages of a read, [num_kv_heads][pages].
using PageLevels = std::vector<std::array<kernels::PageLevel, 2>>;

/// Measures reads of a scene. It codes all pages for itself, once, and finds the weights that a read gave to single tokens by
/// reading page by page with values that are unit vectors.
class AttentionCheck {
 public:
  explicit AttentionCheck(const AttentionScene& scene);

  [[nodiscard]] AttentionError error(const AttentionScene::Read& read, const PageLevels& levels,
                                     std::span<const float> output) const;
  [[nodiscard]] std::size_t pages() const noexcept {
    return (scene_.kv_len + kernels::page_tokens - 1) / kernels::page_tokens;
  }

 private:
  struct CodedPage {
    std::vector<std::byte> metadata;
    std::vector<std::uint32_t> planes[5];
    std::vector<std::uint16_t> keys, values;
    std::size_t tokens{};
  };
  [[nodiscard]] CodedPage code(std::size_t kv_head, std::size_t page) const;
  [[nodiscard]] std::vector<double> weights(std::span<const float> queries, std::size_t kv_head,
                                            const PageLevels& levels) const;

  const AttentionScene& scene_;
  std::vector<CodedPage> coded_;                   // [num_kv_heads][pages]
  std::vector<std::vector<std::uint16_t>> units_;  // values that show the weights of tokens head_dim * i ...
};

}  // namespace mpp::examples

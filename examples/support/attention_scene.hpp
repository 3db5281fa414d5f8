#pragma once
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <random>
#include <span>
#include <string_view>
#include <vector>

#include <mpp/kernels/half.hpp>

namespace mpp::examples {

/// How the weights of a read are spread over the context.
enum class Focus : std::uint8_t {
  sharp,   ///< a few recent tokens take most of the weight
  flat,    ///< every token counts about the same
  needle,  ///< one old token takes about half of it, the rest lies flat
};
inline constexpr std::array focuses{Focus::sharp, Focus::flat, Focus::needle};

constexpr std::string_view name(Focus focus) noexcept {
  constexpr std::array<std::string_view, 3> names{"sharp", "flat", "needle"};
  return names[static_cast<std::size_t>(focus)];
}

/// Keys and values of one layer, and reads of it. Keys have a mean per channel that drifts along the context, and two
/// channels that are far larger than the rest, as language models have them.
struct AttentionScene {
  std::size_t kv_len{}, num_kv_heads{}, group{}, head_dim{};
  std::vector<std::uint16_t> keys, values;  ///< float16, [kv_len][num_kv_heads][head_dim]

  struct Read {
    Focus focus{};
    std::vector<float> queries;  ///< [num_kv_heads * group][head_dim]
  };
  std::vector<Read> reads;

  [[nodiscard]] double key(std::size_t token, std::size_t kv_head, std::size_t channel) const {
    return number(keys, token, kv_head, channel);
  }
  [[nodiscard]] double value(std::size_t token, std::size_t kv_head, std::size_t channel) const {
    return number(values, token, kv_head, channel);
  }

 private:
  [[nodiscard]] double number(const std::vector<std::uint16_t>& bits, std::size_t token, std::size_t kv_head,
                              std::size_t channel) const {
    return kernels::to_float({bits[(token * num_kv_heads + kv_head) * head_dim + channel]});
  }
};

/// A query with a logit of about `logit` for one token, and logits that spread by `spread` over all others (before their
/// mean, which all tokens share).
inline void add_query(const AttentionScene& scene, std::size_t kv_head, std::size_t token, double logit, double spread,
                      std::mt19937_64& random, std::vector<float>& queries) {
  std::normal_distribution<double> normal;
  const auto d = static_cast<double>(scene.head_dim);
  double square = 0.0;
  for (std::size_t j = 2; j < scene.head_dim; ++j)
    square += scene.key(token, kv_head, j) * scene.key(token, kv_head, j);
  for (std::size_t j = 0; j < scene.head_dim; ++j) {
    const double towards = j < 2 ? 0.0 : scene.key(token, kv_head, j) / square * logit;  // not to where all are large
    queries.push_back(static_cast<float>(std::sqrt(d) * (towards + spread / std::sqrt(d) * normal(random))));
  }
}

/// `count` reads, their kinds in turns. The same for the same arguments.
inline AttentionScene make_scene(std::size_t kv_len, std::size_t num_kv_heads, std::size_t group, std::size_t head_dim,
                                 std::size_t count, std::uint64_t seed) {
  AttentionScene scene{kv_len, num_kv_heads, group, head_dim, {}, {}, {}};
  std::mt19937_64 random(seed);
  std::normal_distribution<double> normal;
  const std::size_t width = num_kv_heads * head_dim;
  std::vector<double> mean(width), drift(width);
  for (double& x : mean) x = 2.0 * normal(random);
  for (std::size_t h = 0; h < num_kv_heads; ++h) mean[h * head_dim] = 40.0, mean[h * head_dim + 1] = -25.0;
  for (std::size_t i = 0; i < kv_len; ++i)
    for (std::size_t c = 0; c < width; ++c) {
      drift[c] = 0.995 * drift[c] + 0.1 * normal(random);
      scene.keys.push_back(kernels::nearest_half(mean[c] + drift[c] + normal(random)).bits);
      scene.values.push_back(kernels::nearest_half(normal(random)).bits);
    }
  for (std::size_t r = 0; r < count; ++r) {
    AttentionScene::Read read{focuses[r % focuses.size()], {}};
    const double all = std::log(static_cast<double>(kv_len));
    for (std::size_t h = 0; h < num_kv_heads * group; ++h) {
      const auto recent = static_cast<std::size_t>(std::abs(normal(random)) * 0.05 * static_cast<double>(kv_len));
      const auto old = static_cast<std::size_t>(random() % kv_len);
      switch (read.focus) {
        case Focus::sharp:
          add_query(scene, h / group, kv_len - 1 - std::min(recent, kv_len - 1), all + 3.0, 1.5, random, read.queries);
          break;
        case Focus::flat:
          add_query(scene, h / group, old, 0.0, 0.4, random, read.queries);
          break;
        case Focus::needle:
          add_query(scene, h / group, old, all + 0.5, 0.8, random, read.queries);
          break;
      }
    }
    scene.reads.push_back(std::move(read));
  }
  return scene;
}

}  // namespace mpp::examples

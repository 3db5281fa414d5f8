#pragma once
// Pages and queries that are hard for a certificate of attention, each family in its own way.
#include <algorithm>
#include <array>
#include <cmath>
#include <functional>
#include <random>

#include "attention_head.hpp"

namespace mpp::bench {

using Random = std::mt19937_64;

/// A head, the levels at which its pages are read, and queries of one kind.
struct AttentionScene {
  KvRows rows;
  std::vector<PageLevels> levels;  ///< of each page
  float scale = 0.125F;
  std::function<void(Random&, const CodedHead&, std::span<float>)> query;
};

inline double normal(Random& random) { return std::normal_distribution<double>()(random); }
inline double uniform(Random& random, double low, double high) {
  return std::uniform_real_distribution<double>(low, high)(random);
}
inline std::size_t between(Random& random, std::size_t low, std::size_t high) {
  return std::uniform_int_distribution<std::size_t>(low, high)(random);
}

using Numbers = std::function<double(Random&, std::size_t token, std::size_t channel)>;

inline KvRows rows_of(Random& random, KvType type, std::size_t tokens, std::size_t head_dim, const Numbers& key,
                      const Numbers& value) {
  KvRows rows{type, head_dim, {}, {}};
  for (std::size_t i = 0; i < tokens; ++i)
    for (std::size_t j = 0; j < head_dim; ++j) {
      rows.keys.push_back(reference::stored(type, key(random, i, j)));
      rows.values.push_back(reference::stored(type, value(random, i, j)));
    }
  return rows;
}

/// Random queries, from flat to sharp: logits of typical size 0.02 to 30 for keys of typical norm `key_norm`.
inline auto spread_queries(double key_norm, float scale) {
  return [=](Random& random, const CodedHead&, std::span<float> query) {
    const double size = std::exp(uniform(random, std::log(0.02), std::log(30.0)));
    for (float& q : query) q = static_cast<float>(normal(random) * size / (static_cast<double>(scale) * key_norm));
  };
}

inline std::vector<PageLevels> mixed_levels(Random& random, std::size_t tokens) {
  static constexpr std::array all{k4v4,  k8v4,        k8v8,
                                  k12v8, exact_pages, PageLevels{"k12v4", PageLevel::bits12, PageLevel::bits4}};
  std::vector<PageLevels> levels((tokens + page_tokens - 1) / page_tokens);
  const bool alike = between(random, 0, 1) == 0;
  const PageLevels one = all[between(random, 0, all.size() - 1)];
  for (PageLevels& level : levels) level = alike ? one : all[between(random, 0, all.size() - 1)];
  if (levels.size() > 1 && between(random, 0, 4) == 0)
    levels[between(random, 0, levels.size() - 2)] = {"omitted", PageLevel::omitted, PageLevel::omitted};
  return levels;
}

enum class SceneFamily {
  gaussian,
  outlier_channels,
  sinks,
  near_ties,
  denormals,
  overflow_prone,
  bfloat16,
  unit_values,       ///< token i has the unit vector of channel i modulo head_dim: outputs show weights
  attained,          ///< keys at the ends of their cells and queries of one channel: every error is the radius
  attained_rare,     ///< the same in a page of little mass beside exact ones: forms that average radii are false
  aligned,           ///< queries along the residual of a token: its error is the residual form of the radius
  channel_float16,   ///< ordinary keys and queries of one channel: the radius is half a step
  channel_bfloat16,  ///< the same with zeros that Half does not have
  alike,             ///< all tokens of a page err in the same way, keys and values: the spreads are attained
  beyond_half,       ///< bfloat16 keys of one page and values of another that no code can hold
  families
};

/// Whether values are exact unit vectors, whose outputs show the weights.
constexpr bool shows_weights(SceneFamily family) {
  return family == SceneFamily::unit_values || family == SceneFamily::attained || family == SceneFamily::attained_rare;
}

/// Keys at cell borders of 4-bit codes, that is 0.5 n, from below or from above; 0 and 8 occur in every channel.
inline double cell_end(Random& random, std::size_t token, bool upper) {
  if (token % page_tokens == 0) return 0.0;
  if (token % page_tokens == 1) return 8.0;
  const double border = 0.5 * static_cast<double>(between(random, 1, 15));
  return upper ? border - border * 0x1p-11 : border;  // the number below, if it is a power of two; else 1 or 2 below
}

/// Numbers at a quarter of a cell from its middle, all of a page on the same side; sides of channels alternate if `paired`,
/// and then two of them have one code. Cells of 1; 0 and `cells` occur in every channel.
inline double alike(std::size_t token, std::size_t channel, double cells, bool paired) {
  if (token % page_tokens == 0) return 0.0;
  if (token % page_tokens == 1) return cells;
  const std::size_t hash = (token * 37 + (paired ? channel / 2 : channel) * 101) % 1009;
  const double code = 1.0 + std::floor(static_cast<double>(hash) / 1009.0 * (cells - 2.0));
  const bool below = token / page_tokens % 2 == 1;
  return code + 0.5 + (below != (paired && channel % 2 == 1) ? -0.25 : 0.25);
}

inline AttentionScene scene_of(SceneFamily family, Random& random) {
  const std::size_t dims = between(random, 0, 3) == 0 ? 64 : 32,
                    tokens = page_tokens * between(random, 1, 3) + between(random, 1, 64);
  const double width = static_cast<double>(dims);
  AttentionScene scene;
  scene.levels = mixed_levels(random, tokens);
  KvType type = KvType::float16;
  Numbers key = [](Random& r, std::size_t, std::size_t) { return normal(r); };
  Numbers value = between(random, 0, 1) == 0 ? key : Numbers([](Random& r, std::size_t, std::size_t j) {
    return normal(r) + (j % 7 == 0 ? 6.0 : 0.0);
  });
  double key_norm = std::sqrt(width);
  switch (family) {
    case SceneFamily::gaussian:
    case SceneFamily::aligned:
    case SceneFamily::families:
      break;
    case SceneFamily::outlier_channels:
      key = [](Random& r, std::size_t, std::size_t j) {
        return normal(r) * (j % 11 == 3 ? 20.0 : 1.0) + (j % 16 == 5 ? 60.0 : 0.0);
      };
      key_norm *= 7.0;
      break;
    case SceneFamily::sinks:
      key = [](Random& r, std::size_t i, std::size_t) { return i == 0 ? 4.0 + 0.1 * normal(r) : normal(r); };
      value = [](Random& r, std::size_t i, std::size_t) { return (i == 0 ? 0.01 : 1.0) * normal(r); };
      break;
    case SceneFamily::near_ties:
      key = [](Random& r, std::size_t i, std::size_t j) {
        return 2.0 * std::sin(static_cast<double>(3 * j + 1)) + (i % 5 == 0 ? 0.001 : 0.0) * normal(r);
      };
      break;
    case SceneFamily::denormals:
      key = [](Random& r, std::size_t, std::size_t) { return std::ldexp(normal(r), -20); };
      value = [](Random& r, std::size_t, std::size_t) { return std::ldexp(normal(r), -21); };
      key_norm *= 0x1p-20;
      break;
    case SceneFamily::overflow_prone:
      key = [](Random& r, std::size_t, std::size_t) { return uniform(r, -65504.0, 65504.0); };
      value = [](Random& r, std::size_t i, std::size_t) {
        return i % 3 == 0 ? 65504.0 : uniform(r, -65504.0, 65504.0);
      };
      key_norm *= 40000.0;
      break;
    case SceneFamily::bfloat16:
      type = KvType::bfloat16;
      key = [](Random& r, std::size_t, std::size_t j) {
        return normal(r) * std::ldexp(1.0, static_cast<int>(j % 9) - 4) + (j % 5 == 0 ? 30.1 : 0.0);
      };
      key_norm *= 15.0;
      break;
    case SceneFamily::beyond_half:
      type = KvType::bfloat16;
      key = [](Random& r, std::size_t i, std::size_t j) { return (i < page_tokens && j == 3 ? 1e6 : 1.0) * normal(r); };
      value = [](Random& r, std::size_t i, std::size_t j) {
        return (i / page_tokens == 1 && j == 5 ? 1e6 : 1.0) * normal(r);
      };
      key_norm *= between(random, 0, 1) == 0 ? 1.0 : 1e5;
      break;
    case SceneFamily::unit_values:
      value = [dims](Random&, std::size_t i, std::size_t j) { return i % dims == j ? 1.0 : 0.0; };
      for (PageLevels& level : scene.levels)
        if (level.value != PageLevel::omitted) level.value = PageLevel::exact;
      break;
    case SceneFamily::channel_float16:
      key = [](Random& r, std::size_t i, std::size_t) {  // (2 + 2^-10) / 256 is between two numbers of Half
        return i % page_tokens == 0 ? -1.0 : i % page_tokens == 1 ? 1.0 + 0x1p-10 : uniform(r, -1.0, 1.0);
      };
      break;
    case SceneFamily::channel_bfloat16:
      type = KvType::bfloat16;
      key = [](Random& r, std::size_t, std::size_t) { return -uniform(r, 1e-6, 2e-6); };
      break;
    case SceneFamily::alike:
      key = [](Random&, std::size_t i, std::size_t j) { return alike(i, j, 256.0, true) / 16.0; };
      value = [](Random&, std::size_t i, std::size_t j) { return alike(i, j, 16.0, false); };
      for (PageLevels& level : scene.levels) level = between(random, 0, 1) == 0 ? k8v4 : exact_pages;
      break;
    case SceneFamily::attained:
    case SceneFamily::attained_rare: {
      const bool rare = family == SceneFamily::attained_rare;
      key = [rare, flip = between(random, 0, 1) == 0](Random& r, std::size_t i, std::size_t) {
        return cell_end(r, i, rare || (i % 2 == 0) == flip);
      };
      value = [dims](Random&, std::size_t i, std::size_t j) { return i % dims == j ? 1.0 : 0.0; };
      for (std::size_t p = 0; p < scene.levels.size(); ++p)
        scene.levels[p] = {"attained", rare && p != 0 ? PageLevel::exact : PageLevel::bits4, PageLevel::exact};
      break;
    }
  }
  scene.rows = rows_of(random, type, tokens, dims, key, value);
  scene.query = spread_queries(key_norm, scene.scale);
  if (family == SceneFamily::attained || family == SceneFamily::attained_rare)
    scene.query = [rare = family == SceneFamily::attained_rare](Random& r, const CodedHead&, std::span<float> query) {
      std::fill(query.begin(), query.end(), 0.0F);  // half a step of 4 bits is 0.25, so radii of 0.003 to 3
      query[between(r, 0, query.size() - 1)] = static_cast<float>((rare || between(r, 0, 1) == 0 ? 8.0 : -8.0) *
                                                                  std::exp(uniform(r, std::log(0.01), std::log(12.0))));
    };
  if (family == SceneFamily::alike)  // codes cancel, errors add up to size / 4 times all channels
    scene.query = [](Random& r, const CodedHead&, std::span<float> query) {
      const double size = std::exp(uniform(r, std::log(0.02), std::log(6.0)));
      for (std::size_t j = 0; j < query.size(); ++j) query[j] = static_cast<float>(j % 2 == 0 ? size : -size);
    };
  if (family == SceneFamily::channel_float16 || family == SceneFamily::channel_bfloat16)
    scene.query = [size = family == SceneFamily::channel_float16 ? 8.0 : 1e6](Random& r, const CodedHead&,
                                                                              std::span<float> query) {
      std::fill(query.begin(), query.end(), 0.0F);
      query[between(r, 0, query.size() - 1)] = static_cast<float>(uniform(r, -size, size));
    };
  if (family == SceneFamily::aligned)
    scene.query = [level = scene.levels[0].key](Random& r, const CodedHead& head, std::span<float> query) {
      const std::size_t token = between(r, 0, std::min(head.tokens(), page_tokens) - 1);
      const double size = std::exp(uniform(r, std::log(0.05), std::log(20.0)));
      for (std::size_t j = 0; j < query.size(); ++j) {
        const double step = reference::half_value(head.fields(0).key_step[j]);
        const double error = head.key(token, j, PageLevel::exact) - head.key(token, j, level);
        query[j] = static_cast<float>(step > 0.0 ? size * error / (step * step) * 0.01 : 0.0);
      }
    };
  return scene;
}

}  // namespace mpp::bench

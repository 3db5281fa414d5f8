#pragma once
#include <cmath>
#include <numeric>

#include <mpp/core/control/controller.hpp>
#include <mpp/llm/kv_tier.hpp>

#include "domains/llm/naive_cache.hpp"

namespace mpp::llm {

/// A filled cache of one layer, its numbers, and queries of several kinds.
struct ReadScene {
  KvGeometry geometry;
  std::size_t group, tokens;
  Numbers keys, values;        // [tokens][num_kv_heads][head_dim]
  std::vector<float> queries;  // [num_kv_heads * group][head_dim]

  /// @param sharpness  standard deviation of the logits, about
  ReadScene(const KvGeometry& shape, std::size_t queries_per_head, std::size_t length, double sharpness,
            std::uint64_t seed)
      : geometry(shape), group(queries_per_head), tokens(length) {
    std::mt19937_64 random(seed);
    const std::size_t n = tokens * geometry.num_kv_heads * geometry.head_dim;
    keys = random_numbers(random, n);
    values = random_numbers(random, n);
    std::normal_distribution<float> normal(0.0F, static_cast<float>(sharpness));
    queries.resize(geometry.num_kv_heads * group * geometry.head_dim);
    for (float& query : queries) query = normal(random);
  }

  SequenceId fill(PagedKvCache& cache) const {
    const SequenceId id = std::get<SequenceId>(cache.open());
    auto k = upload(cache.context(), keys), v = upload(cache.context(), values);
    EXPECT_FALSE(cache.append(id, 0, k.span(), v.span()).has_value());
    return id;
  }

  double number(const Numbers& of, std::size_t token, std::size_t kv_head, std::size_t channel) const {
    const std::size_t at = (token * geometry.num_kv_heads + kv_head) * geometry.head_dim + channel;
    return static_cast<double>(kernels::to_float({of[at]}));
  }

  /// The read of the exact cache by its definition, in long double.
  struct Exact {
    std::vector<long double> weights;  // [tokens]
    std::vector<long double> output;   // [head_dim]
  };
  Exact exact(std::size_t head) const {
    const std::size_t dim = geometry.head_dim, kv_head = head / group;
    const auto scale = static_cast<long double>(1.0F / std::sqrt(static_cast<float>(dim)));
    Exact read{.weights = std::vector<long double>(tokens), .output = std::vector<long double>(dim)};
    for (std::size_t t = 0; t < tokens; ++t) {
      long double dot = 0.0L;
      for (std::size_t c = 0; c < dim; ++c)
        dot += static_cast<long double>(queries[head * dim + c]) * number(keys, t, kv_head, c);
      read.weights[t] = scale * dot;
    }
    const long double most = *std::ranges::max_element(read.weights);
    for (long double& weight : read.weights) weight = std::exp(weight - most);
    const long double sum = std::accumulate(read.weights.begin(), read.weights.end(), 0.0L);
    for (std::size_t t = 0; t < tokens; ++t) {
      read.weights[t] /= sum;
      for (std::size_t c = 0; c < dim; ++c) read.output[c] += read.weights[t] * number(values, t, kv_head, c);
    }
    return read;
  }
  long double longest_value(std::size_t head) const {
    long double most = 0.0L;
    for (std::size_t t = 0; t < tokens; ++t) {
      long double square = 0.0L;
      for (std::size_t c = 0; c < geometry.head_dim; ++c)
        square += std::pow(static_cast<long double>(number(values, t, head / group, c)), 2.0L);
      most = std::max(most, square);
    }
    return std::sqrt(most);
  }

  /// |exact output - output| of a head.
  long double output_error(const AttentionResult& result, std::size_t head) const {
    const Exact read = exact(head);
    long double square = 0.0L;
    for (std::size_t c = 0; c < geometry.head_dim; ++c) {
      const long double difference =
          read.output[c] - static_cast<long double>(result.output[head * geometry.head_dim + c]);
      square += difference * difference;
    }
    return std::sqrt(square);
  }
};

}  // namespace mpp::llm

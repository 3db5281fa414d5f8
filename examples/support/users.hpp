#pragma once
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <numeric>
#include <span>
#include <string_view>
#include <vector>

#include <mpp/ranking/synthetic.hpp>

namespace mpp::examples {

/// How hard a user's request is, easiest first.
enum class Interest : std::uint8_t {
  near,     ///< a query of the catalogue's family: close to what is on offer
  between,  ///< the mean of two such queries: nothing lies there
  random,   ///< a direction that the catalogue knows nothing about, of the same typical length
};
inline constexpr std::array interests{Interest::near, Interest::between, Interest::random};

constexpr std::string_view name(Interest interest) noexcept {
  constexpr std::array<std::string_view, 3> names{"near", "between", "random"};
  return names[static_cast<std::size_t>(interest)];
}

struct User {
  Interest interest{};
  std::vector<float> query;  ///< [dims]
};

/// `count` users in a fixed cycle of ten: seven near, two between, one random.
/// @param near  the queries that came with the catalogue, at least one; user i takes the i-th, and starts again when
///              there are fewer
/// @param seed  of the random directions
inline std::vector<User> make_users(const ranking::Synthetic& near, std::size_t count, std::uint64_t seed) {
  constexpr Interest n = Interest::near, b = Interest::between, r = Interest::random;
  constexpr std::array cycle{n, n, b, n, n, r, n, b, n, n};
  const std::size_t dims = near.dims;
  const std::size_t known = near.queries.size() / dims;
  const auto query = [&](std::size_t i) { return std::span(near.queries).subspan(i % known * dims, dims); };
  const auto squares = [](std::span<const float> v) { return std::inner_product(v.begin(), v.end(), v.begin(), 0.0f); };

  const ranking::Synthetic random = make_synthetic(ranking::Family::gaussian, 0, count, dims, seed);
  std::vector<User> users(count);
  for (std::size_t i = 0; i < count; ++i) {
    users[i] = {cycle[i % cycle.size()], std::vector<float>(query(i).begin(), query(i).end())};
    std::vector<float>& q = users[i].query;
    if (users[i].interest == Interest::between)
      for (std::size_t d = 0; d < dims; ++d) q[d] = 0.5f * (q[d] + query(i + 1)[d]);
    if (users[i].interest == Interest::random) {
      const auto direction = std::span(random.queries).subspan(i * dims, dims);
      const float length = std::sqrt(squares(q) / squares(direction));
      for (std::size_t d = 0; d < dims; ++d) q[d] = length * direction[d];
    }
  }
  return users;
}

}  // namespace mpp::examples

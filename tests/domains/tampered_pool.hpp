#pragma once
#include <algorithm>
#include <span>
#include <vector>

#include <mpp/ranking/pool.hpp>

namespace mpp::test {

/// The same pool with other columns: change(columns).
template <class Change>
ranking::Pool tampered(const ranking::Pool& pool, const Change& change) {
  ranking::PoolColumns columns = pool.columns();
  change(columns);
  return ranking::Pool(std::move(columns));
}

/// A pool with the identity for its rotation, coded around `center` in every coordinate, so that a test can place rows and
/// queries on the grids of their codes. The rows come in by add(), after both have been put in.
inline ranking::Pool unrotated_pool(std::span<const float> rows, std::size_t dims, ranking::Metric metric,
                                    std::int32_t unit_exponent = 0, float center = 0.0F) {
  ranking::PoolOptions options;
  options.metric = metric;
  ranking::Pool pool = tampered(ranking::Pool::build({}, dims, options), [&](ranking::PoolColumns& c) {
    c.unit_exponent = unit_exponent;
    for (float& x : c.centers.values()) x = center;
    auto& rotation = c.rotation.values();
    std::fill(rotation.begin(), rotation.end(), 0.0F);
    // A reflector with an empty tail flips its coordinate, and its sign flips it back.
    for (std::size_t k = 0, at = 0; k < c.coded_dims; at += c.coded_dims - k++) rotation[at] = -1.0F;
  });
  pool.add(rows);
  return pool;
}

/// The next smaller Half of a positive one.
inline kernels::Half below(kernels::Half value) {
  return {static_cast<std::uint16_t>(value.bits == 0 ? 0 : value.bits - 1)};
}

}  // namespace mpp::test

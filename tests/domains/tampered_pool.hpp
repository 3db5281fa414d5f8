#pragma once
#include <cmath>
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

/// A pool coded around the origin with the identity times `stretch` for its rotation, so that a test can place rows and
/// queries on the grids of their codes. The rows come in by add(), after the rotation has been put in.
inline ranking::Pool unrotated_pool(std::span<const float> rows, std::size_t dims, ranking::Metric metric,
                                    float stretch = 1.0F, std::int32_t unit_exponent = 0) {
  ranking::PoolOptions options;
  options.metric = metric;
  ranking::Pool pool = tampered(ranking::Pool::build({}, dims, options), [&](ranking::PoolColumns& c) {
    c.unit_exponent = unit_exponent;
    auto& rotation = c.rotation.values();
    for (std::size_t i = 0; i < rotation.size(); ++i) rotation[i] = i % (c.coded_dims + 1) == 0 ? stretch : 0.0F;
    const double square = static_cast<double>(stretch) * stretch;
    c.rotation_defect = std::abs(square - 1.0) * std::sqrt(static_cast<double>(c.coded_dims)) * (1.0 + 0x1p-40);
  });
  pool.add(rows);
  return pool;
}

/// The next smaller Half of a positive one.
inline kernels::Half below(kernels::Half value) {
  return {static_cast<std::uint16_t>(value.bits == 0 ? 0 : value.bits - 1)};
}

}  // namespace mpp::test

#pragma once
#include <cstddef>
#include <cstdint>
#include <random>
#include <span>
#include <string_view>
#include <vector>

#include <mpp/ranking/pool.hpp>

namespace mpp::test {

inline std::vector<float> random_rows(std::size_t n, std::size_t dims, std::uint32_t seed) {
  std::mt19937 random(seed);
  std::vector<float> rows(n * dims);
  for (float& x : rows) x = static_cast<float>(random()) * 0x1p-31F - 1.0F;
  return rows;
}

/// 70 rows of 3 values, one of them removed, two more added: three blocks, holes, and a tail.
inline ranking::Pool small_pool(ranking::Metric metric) {
  ranking::PoolOptions options;
  options.metric = metric;
  ranking::Pool pool = ranking::Pool::build(random_rows(70, 3, 11), 3, options);
  pool.remove(5);
  pool.add(random_rows(2, 3, 12));
  return pool;
}

/// Calls visit(name, column) for every column, those that must be empty included; not for the tops of plane 0, which
/// follow from its factors.
template <class Columns, class Visit>
void each_column(Columns& c, Visit visit) {
  visit("rotation", c.rotation);
  visit("centers", c.centers);
  visit("block_cell", c.block_cell);
  visit("bias", c.bias);
  visit("live", c.live);
  visit("ids", c.ids);
  constexpr std::string_view block[][4] = {{"signs[0]", "scale[0]", "residual[0]", "norm[0]"},
                                           {"signs[1]", "scale[1]", "residual[1]", "norm[1]"}};
  for (std::size_t p = 0; p < ranking::block_planes; ++p) {
    visit(block[p][0], c.block_plane[p].signs);
    visit(block[p][1], c.block_plane[p].scale);
    visit(block[p][2], c.block_plane[p].residual);
    visit(block[p][3], c.block_plane[p].norm);
  }
  visit("top_scale[1]", c.block_plane[1].top_scale);
  visit("top_residual[1]", c.block_plane[1].top_residual);
  constexpr std::string_view row[][2] = {{"codes[2]", "factors[2]"}, {"codes[3]", "factors[3]"}};
  for (std::size_t p = 0; p < c.row_plane.size(); ++p) {
    visit(row[p][0], c.row_plane[p].codes);
    visit(row[p][1], c.row_plane[p].factors);
  }
  visit("rows", c.rows);
}

}  // namespace mpp::test

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

/// Calls visit(name, column) for every column, those that a file leaves out included.
template <class Columns, class Visit>
void each_column(Columns& c, Visit visit) {
  visit("rotation", c.rotation);
  visit("centers", c.centers);
  visit("block_cell", c.block_cell);
  visit("sign_blocks", c.sign_blocks);
  visit("scale", c.scale);
  visit("residual", c.residual);
  visit("bias", c.bias);
  visit("live", c.live);
  visit("ids", c.ids);
  constexpr std::string_view codes[] = {"codes[0]", "codes[1]", "codes[2]", "codes[3]"};
  constexpr std::string_view factors[] = {"factors[0]", "factors[1]", "factors[2]", "factors[3]"};
  for (std::size_t p = 0; p < kernels::planes; ++p) {
    visit(codes[p], c.codes[p]);
    visit(factors[p], c.factors[p]);
  }
  visit("rows", c.rows);
}

}  // namespace mpp::test

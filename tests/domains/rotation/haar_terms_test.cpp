// What randomized intervals pay for a rotation whose tails are rounded, and deterministic ones do not.
#include <gtest/gtest.h>

#include <cmath>
#include <memory_resource>

#include <mpp/ranking/query_frame.hpp>

#include "src/beta_tail.hpp"
#include "src/rotation.hpp"

namespace mpp::ranking {
namespace {

constexpr std::size_t dims = 64;
constexpr std::size_t rows = 128;

QueryFrame frame_of(const Pool& pool, Delta look) {
  std::vector<float> query(dims, 0.0F);
  query[3] = 1.0F;
  QueryFrame frame(std::pmr::new_delete_resource());
  make_frame(pool, query, look, frame);
  return frame;
}

TEST(HaarTerms, WidenSlackAndTailWithDeltaAlone) {
  std::vector<float> values(rows * dims);
  for (std::size_t i = 0; i < values.size(); ++i) values[i] = static_cast<float>(std::sin(static_cast<double>(i * i)));
  const Pool pool = Pool::build(values, dims);
  const PoolColumns& c = pool.columns();
  const QueryFrame sure = frame_of(pool, Delta{0.0});
  const QueryFrame randomized = frame_of(pool, Delta{1e-6});
  const double turned = haar_rounding(dims) + rotation_rounding(dims) + 0x1p-24;
  const double norms =
      std::sqrt(static_cast<double>(sure.coarse.q2)) * std::ldexp(c.largest_centered, -c.unit_exponent);
  const double tail = sphere_coordinate_tail(dims, 1e-6 / static_cast<double>(c.slots()));
  for (const auto part : {&QueryFrame::coarse, &QueryFrame::fine}) {
    EXPECT_EQ((sure.*part).tail, 0.0F);
    EXPECT_GE((randomized.*part).tail, tail + 5.0 * turned);
    EXPECT_LT((randomized.*part).tail, tail + 5.1 * turned + 0x1p-22);
    const double more = static_cast<double>((randomized.*part).slack) - (sure.*part).slack;
    EXPECT_GE(more, 4.0 * turned * norms * (1 - 1e-5));
    EXPECT_LT(more, 4.1 * turned * norms);
  }
}

}  // namespace
}  // namespace mpp::ranking

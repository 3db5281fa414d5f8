// The randomized interval holds with a probability over directions: rows are uniform on the sphere here, which is what
// a Haar rotation makes of any row, independently of the query.
#include <boost/math/distributions/beta.hpp>
#include <boost/math/distributions/binomial.hpp>

#include "kernels/adversarial_scenes.hpp"

namespace mpp::kernels {
namespace {

constexpr std::size_t dims = 64;
constexpr std::size_t n = 2000;

/// Quantile of |X|, a coordinate of a uniform point on the unit sphere of R^(dims - 1): X^2 is Beta(1/2, (dims - 2)/2).
float tail_for(double failure) {
  const boost::math::beta_distribution<double> squared(0.5, (dims - 2) / 2.0);
  return float_above(std::sqrt(boost::math::quantile(boost::math::complement(squared, failure))));
}

/// More misses than this happen with probability 1e-9.
std::size_t binomial_limit(double failure) {
  const boost::math::binomial_distribution<double> misses(static_cast<double>(n), failure);
  return static_cast<std::size_t>(boost::math::quantile(boost::math::complement(misses, 1e-9)));
}

class RandomizedIntervalTest : public KernelTest {
 protected:
  static Scene scene() {
    return {.name = "uniform", .dims = dims, .rows = unit_rows(n, dims, 71), .query = unit_query(dims, 72)};
  }
  static std::size_t misses(std::size_t plane, float tail) {
    const CodedScene coded(context(), scene(), {}, tail);
    auto intervals = unlimited(n);
    tighten(context(), coded, plane, intervals);
    std::size_t count = 0;
    for (std::size_t i = 0; i < n; ++i) {
      const auto score = coded.scene().true_score(i);
      count += reference::Quad{intervals[i].lower} < score && score < reference::Quad{intervals[i].upper} ? 0 : 1;
    }
    return count;
  }
};
MPP_ON_ALL_DEVICES(RandomizedIntervalTest);

TEST_P(RandomizedIntervalTest, MissesNoMoreOftenThanItsTail) {
  for (std::size_t plane = 0; plane < planes; ++plane)
    for (const double failure : {0.3, 0.05}) EXPECT_LE(misses(plane, tail_for(failure)), binomial_limit(failure));
}

TEST_P(RandomizedIntervalTest, TheTestAboveCatchesATailShrunkTo80Percent) {
  for (std::size_t plane = 0; plane < 2; ++plane)
    EXPECT_GT(misses(plane, 0.8F * tail_for(0.3)), binomial_limit(0.3)) << plane;
}

TEST_P(RandomizedIntervalTest, IsNarrowerThanTheDeterministicOneOnAverage) {
  const auto width = [](float tail) {
    const CodedScene coded(context(), scene(), {}, tail);
    auto intervals = unlimited(n);
    tighten(context(), coded, 0, intervals);
    double sum = 0.0;
    for (const auto& [lower, upper] : intervals) sum += double{upper} - lower;
    return sum / n;
  };
  EXPECT_LT(width(tail_for(1e-6)), 0.85 * width(0.0F));
}

TEST_P(RandomizedIntervalTest, LeavesRowsWithAResidualBelowTheNormalHalvesToTheDeterministicOne) {
  // There the stored residual says little about the true one, and the midpoint of the randomized interval needs it.
  Scene exact = scene();
  for (float& x : exact.rows) x = (x < 0 ? -1.0F : 1.0F) / 8 + x * 0x1p-16F;  // signs, and a little
  const CodedScene plain(context(), exact), random(context(), exact, {}, tail_for(0.3));
  auto expected = unlimited(n), intervals = unlimited(n);
  tighten(context(), plain, 0, expected);
  tighten(context(), random, 0, intervals);
  for (std::size_t i = 0; i < n; ++i) {
    ASSERT_LT(to_float(plain.factors(i, 0).residual), 0x1p-14F);
    EXPECT_EQ(intervals[i].lower, expected[i].lower);
    EXPECT_EQ(intervals[i].upper, expected[i].upper);
  }
}

TEST_P(RandomizedIntervalTest, RowsWithAnInfiniteResidualStayUnlimited) {
  constexpr float inf = std::numeric_limits<float>::infinity();
  Scene tiny = scene();
  for (float& x : tiny.rows) x = std::ldexp(x, -40);
  const CodedScene coded(context(), tiny, {}, tail_for(0.3));
  auto intervals = unlimited(n);
  for (std::size_t plane = 0; plane < planes; ++plane) tighten(context(), coded, plane, intervals);
  for (const auto& [lower, upper] : intervals) {
    EXPECT_EQ(lower, -inf);
    EXPECT_EQ(upper, inf);
  }
}

}  // namespace
}  // namespace mpp::kernels

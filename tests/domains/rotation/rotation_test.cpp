#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numbers>
#include <random>
#include <string>
#include <vector>

#include "reference/quad.hpp"
#include "src/rotation.hpp"

namespace mpp::ranking {
namespace {

using reference::Quad;
constexpr std::size_t sizes[] = {1, 8, 33, 384, 1000};

std::vector<float> identity(std::size_t dims) {
  std::vector<float> rotation(rotation_floats(dims), 0.0F);
  for (std::size_t k = 0; k < dims; ++k) rotation[reflector_start(dims, k)] = -1.0F;
  return rotation;
}

// R z as the header defines it, with 113 bits, from tails in any type.
template <class Float>
std::vector<Quad> oracle(const std::vector<Float>& rotation, const std::vector<double>& z) {
  const std::size_t dims = z.size();
  std::vector<Quad> y(z.begin(), z.end());
  for (std::size_t k = dims; k-- > 0;) {
    const Float* reflector = rotation.data() + reflector_start(dims, k);
    y[k] *= reflector[0];
    Quad product = y[k], square = 1;
    for (std::size_t j = 1; j < dims - k; ++j) {
      product += y[k + j] * static_cast<Quad>(reflector[j]);
      square += static_cast<Quad>(reflector[j]) * static_cast<Quad>(reflector[j]);
    }
    y[k] -= 2 * product / square;
    for (std::size_t j = 1; j < dims - k; ++j) y[k + j] -= 2 * product / square * static_cast<Quad>(reflector[j]);
  }
  return y;
}

std::vector<double> one_by_one(const std::vector<float>& rotation, const std::vector<double>& z, double scale = 1.0) {
  std::vector<double> y(z.size());
  rotate(rotation, z.size(), z, scale, y);
  return y;
}
std::vector<double> in_bulk(const std::vector<float>& rotation, const std::vector<double>& z, double scale = 1.0) {
  std::vector<double> y(z.size());
  BulkRotation(rotation, z.size(), 2 * z.size())(z, scale, y);  // so many that it is expanded
  return y;
}

template <class A, class B>
double distance(const A& a, const B& b) {
  Quad sum = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    const Quad difference = static_cast<Quad>(a[i]) - static_cast<Quad>(b[i]);
    sum += difference * difference;
  }
  return std::sqrt(static_cast<double>(sum));
}
double norm(const std::vector<double>& z) { return distance(z, std::vector<double>(z.size(), 0.0)); }

struct Named {
  std::string name;
  std::vector<double> z;
};

// Vectors that sums do not like: one coordinate, cancellation, many orders of magnitude.
std::vector<Named> hard_vectors(std::size_t dims) {
  std::mt19937 random(5);
  std::vector<double> first(dims, 0.0), last(dims, 0.0), alternating(dims), spread(dims), cancels(dims), plain(dims);
  first.front() = 1.0;
  last.back() = -3e38;
  for (std::size_t i = 0; i < dims; ++i) {
    const double sign = i % 2 == 0 ? 1.0 : -1.0;
    alternating[i] = sign / 3.0;
    spread[i] = sign * std::ldexp(1.0, static_cast<int>(i % 250) - 149);
    cancels[i] = sign * 1e30 + static_cast<double>(random());
    plain[i] = static_cast<double>(random()) * 0x1p-31 - 1.0;
  }
  return {{"first", first},   {"last", last},       {"alternating", alternating},
          {"spread", spread}, {"cancels", cancels}, {"plain", plain}};
}

// A drawn one, and what a file may hold: huge tails, tiny ones, all signs equal.
std::vector<std::vector<float>> rotations(std::size_t dims) {
  std::vector<std::vector<float>> all{haar_rotation(dims, 1), identity(dims)};
  for (const float value : {std::numeric_limits<float>::max(), std::numeric_limits<float>::denorm_min(), 1.0F}) {
    std::vector<float> rotation = identity(dims);
    for (std::size_t k = 0; k < dims; ++k)
      for (std::size_t j = 1; j < dims - k; ++j)
        rotation[reflector_start(dims, k) + j] = (j + k) % 3 == 0 ? -value : value;
    all.push_back(rotation);
  }
  return all;
}

TEST(Rotation, ErrsByNoMoreThanItsBoundBothWays) {
  for (const std::size_t dims : sizes) {
    const auto all = rotations(dims);
    for (std::size_t r = 0; r < all.size(); ++r)
      for (const Named& v : hard_vectors(dims)) {
        if (dims == 1000 && (r > 2 || v.name == "first")) continue;  // the oracle takes its time
        const auto exact = oracle(all[r], v.z);
        const double allowed = rotation_rounding(dims) * norm(v.z);
        EXPECT_LE(distance(one_by_one(all[r], v.z), exact), allowed) << dims << ", " << r << ", " << v.name;
        EXPECT_LE(distance(in_bulk(all[r], v.z), exact), allowed) << dims << ", " << r << ", " << v.name;
      }
  }
}

// Proof that the test above can fail: the same loops in float.
TEST(Rotation, TheTestAboveCatchesArithmeticInFloat) {
  for (const std::size_t dims : {8, 384}) {
    const auto rotation = haar_rotation(dims, 1);
    const auto z = hard_vectors(dims).back().z;
    std::vector<float> y(z.begin(), z.end());
    const std::vector<double> rounded(y.begin(), y.end());
    for (std::size_t k = dims; k-- > 0;) {
      const float* tail = rotation.data() + reflector_start(dims, k);
      float product = y[k] *= tail[0], square = 1.0F;
      for (std::size_t j = 1; j < dims - k; ++j) {
        product += tail[j] * y[k + j];
        square += tail[j] * tail[j];
      }
      y[k] -= 2.0F * product / square;
      for (std::size_t j = 1; j < dims - k; ++j) y[k + j] -= 2.0F * product / square * tail[j];
    }
    EXPECT_GT(distance(y, oracle(rotation, rounded)), rotation_rounding(dims) * norm(rounded));
  }
}

TEST(Rotation, RoundsFarLessThanTheRowsThatAreStoredAsFloat) {
  for (const std::size_t dims : {8, 128, 384, 1024}) EXPECT_LT(rotation_rounding(dims), 0x1p-24);
}

TEST(Rotation, IsOrthogonal) {
  for (const std::size_t dims : sizes) {
    const auto rotation = haar_rotation(dims, 3);
    std::vector<double> unit(dims * dims, 0.0), columns(dims * dims);
    for (std::size_t i = 0; i < dims; ++i) unit[i * dims + i] = 1.0;
    BulkRotation(rotation, dims, dims)(unit, 1.0, columns);
    double worst = 0.0;
    for (std::size_t i = 0; i < dims; ++i)
      for (std::size_t j = 0; j <= i; ++j) {
        double product = 0.0;
        for (std::size_t l = 0; l < dims; ++l) product += columns[i * dims + l] * columns[j * dims + l];
        worst = std::max(worst, std::fabs(product - (i == j ? 1.0 : 0.0)));
      }
    EXPECT_LT(worst, 1e-12) << dims;
  }
}

TEST(Rotation, OfEqualSignsAndEmptyTailsIsTheIdentity) {
  for (const std::size_t dims : sizes)
    for (const Named& v : hard_vectors(dims)) {
      EXPECT_EQ(one_by_one(identity(dims), v.z), v.z);
      EXPECT_EQ(in_bulk(identity(dims), v.z), v.z);
    }
}

TEST(Rotation, ScalesByPowersOfTwo) {
  const auto rotation = haar_rotation(24, 2);
  const auto z = hard_vectors(24).back().z;
  for (const auto rotated : {one_by_one, in_bulk})
    for (const int exponent : {-511, -3, 511}) {
      auto expected = rotated(rotation, z, 1.0);
      for (double& x : expected) x = std::ldexp(x, exponent);
      EXPECT_EQ(rotated(rotation, z, std::ldexp(1.0, exponent)), expected);
    }
}

TEST(Rotation, InPiecesIsTheSameAsAtOnce) {
  constexpr std::size_t dims = 40;
  const auto rotation = haar_rotation(dims, 2);
  for (const std::size_t vectors : {std::size_t{2}, std::size_t{200}}) {  // one by one, and expanded
    std::vector<double> z(2 * dims), whole(2 * dims), pieces(2 * dims);
    for (std::size_t i = 0; i < z.size(); ++i) z[i] = std::sin(static_cast<double>(i));
    const BulkRotation bulk(rotation, dims, vectors);
    bulk(z, 1.0, whole);
    for (const std::size_t i : {std::size_t{0}, dims})
      bulk(std::span(z).subspan(i, dims), 1.0, std::span(pieces).subspan(i, dims));
    EXPECT_LE(distance(whole, pieces), 2.0 * rotation_rounding(dims) * norm(z));
    EXPECT_NO_THROW(bulk({}, 1.0, {}));
  }
}

TEST(HaarRotation, IsDecidedByItsSeed) {
  EXPECT_EQ(haar_rotation(9, 4), haar_rotation(9, 4));
  EXPECT_NE(haar_rotation(9, 4), haar_rotation(9, 5));
}

// A column of a Haar rotation of R^3 is a uniform point of the sphere, so each entry is uniform on [-1, 1] (Archimedes).
// Largest distance of the empirical distribution of one entry from that (Kolmogorov and Smirnov), over 4000 rotations.
constexpr std::size_t draws = 4000;
const double smirnov_limit = std::sqrt(std::log(2.0 / 1e-9) / 2.0 / draws);

template <class Draw>
double distance_from_uniform(const Draw& draw, std::size_t row, std::size_t column) {
  std::vector<double> entries;
  std::vector<double> unit(3, 0.0);
  unit[column] = 1.0;
  for (std::uint64_t seed = 0; seed < draws; ++seed) entries.push_back(one_by_one(draw(seed), unit)[row]);
  std::sort(entries.begin(), entries.end());
  double worst = 0.0;
  for (std::size_t i = 0; i < draws; ++i)
    for (const std::size_t below : {i, i + 1})
      worst = std::max(worst, std::fabs((entries[i] + 1.0) / 2.0 - static_cast<double>(below) / draws));
  return worst;
}

TEST(HaarRotation, HasUniformEntriesInThreeDimensions) {
  const auto draw = [](std::uint64_t seed) { return haar_rotation(3, seed); };
  for (std::size_t i = 0; i < 3; ++i)
    for (std::size_t j = 0; j < 3; ++j) EXPECT_LE(distance_from_uniform(draw, i, j), smirnov_limit) << i << j;
}
TEST(HaarRotation, TheTestAboveCatchesOneWhoseSignsAreNotThoseOfTheDiagonal) {
  const auto draw = [](std::uint64_t seed) {
    auto rotation = haar_rotation(3, seed);
    for (std::size_t k = 0; k < 3; ++k) rotation[reflector_start(3, k)] = -1.0F;
    return rotation;
  };
  EXPECT_GT(distance_from_uniform(draw, 0, 0), smirnov_limit);
}

// Means over 4000 rotations of R^5 of functions whose Haar mean is known and whose values are at most 1.
TEST(HaarRotation, HasTheMomentsOfHaarMeasure) {
  constexpr std::size_t dims = 5;
  const double limit = std::sqrt(std::log(2.0 / 1e-9) * 2.0 / draws);  // Hoeffding
  double squares = 0.0, fourths = 0.0, across = 0.0, determinants = 0.0, trace = 0.0;
  for (std::uint64_t seed = 0; seed < draws; ++seed) {
    const auto rotation = haar_rotation(dims, seed);
    double sign = 1.0;  // each reflector has determinant -1
    for (std::size_t k = 0; k < dims; ++k) sign *= -rotation[reflector_start(dims, k)];
    determinants += sign / draws;
    std::vector<std::vector<double>> column;
    for (std::size_t j = 0; j < dims; ++j) {
      std::vector<double> unit(dims, 0.0);
      unit[j] = 1.0;
      column.push_back(one_by_one(rotation, unit));
      trace += column[j][j] / dims / draws;
    }
    squares += column[1][2] * column[1][2] / draws;
    fourths += std::pow(column[4][3], 4) / draws;
    across += column[0][0] * column[0][0] * column[1][1] * column[1][1] / draws;
  }
  EXPECT_NEAR(determinants, 0.0, limit);
  EXPECT_NEAR(trace, 0.0, limit);
  EXPECT_NEAR(squares, 1.0 / 5, limit);
  EXPECT_NEAR(fourths, 3.0 / (5 * 7), limit);
  EXPECT_NEAR(across, 6.0 / (4 * 5 * 7), limit);  // (d + 1) / ((d - 1) d (d + 2))
}

// The same Gaussians, with tails in long double: the rotation that rounding takes away from.
std::vector<long double> unrounded(std::size_t dims, std::uint64_t seed) {
  std::mt19937_64 random(seed);
  const auto uniform = [&] { return (static_cast<double>(random() >> 12) + 0.5) * 0x1p-52; };
  std::vector<long double> rotation;
  for (std::size_t n = dims; n > 0; --n) {
    std::vector<long double> x(n);
    long double squares = 0;
    for (long double& value : x) {
      const double radius = std::sqrt(-2.0 * std::log(uniform()));
      value = radius * std::cos(2.0 * std::numbers::pi * uniform());
      squares += value * value;
    }
    rotation.push_back(x[0] < 0 ? 1 : -1);
    for (std::size_t j = 1; j < n; ++j) rotation.push_back(x[j] / (x[0] + std::copysign(std::sqrt(squares), x[0])));
  }
  return rotation;
}

TEST(HaarRotation, IsMovedByTheRoundingOfItsTailsByNoMoreThanTheBound) {
  for (const std::size_t dims : {1, 2, 8, 64, 384}) {
    const auto stored = haar_rotation(dims, 6);
    const auto ideal = unrounded(dims, 6);
    for (const Named& v : hard_vectors(dims))
      EXPECT_LE(distance(oracle(stored, v.z), oracle(ideal, v.z)), haar_rounding(dims) * norm(v.z)) << v.name;
  }
}
TEST(HaarRotation, TheTestAboveCatchesTailsOf16Bits) {
  auto stored = haar_rotation(64, 6);
  for (float& x : stored) x = static_cast<float>(std::ldexp(std::nearbyint(std::ldexp(x, 15)), -15));
  const auto z = hard_vectors(64).back().z;
  EXPECT_GT(distance(oracle(stored, z), oracle(unrounded(64, 6), z)), haar_rounding(64) * norm(z));
}

}  // namespace
}  // namespace mpp::ranking

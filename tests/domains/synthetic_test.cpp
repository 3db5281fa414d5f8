#include <mpp/ranking/synthetic.hpp>

#include <gtest/gtest.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>
#include <span>
#include <string>
#include <vector>

#include <mpp/core/error.hpp>

namespace mpp::ranking {
namespace {

constexpr Family families[] = {Family::clustered, Family::power_law, Family::gaussian};

// FNV-1a over the bits: one changed bit anywhere changes it.
std::uint64_t checksum(std::span<const float> values) {
  std::uint64_t hash = 0xcbf29ce484222325u;
  for (const float value : values) hash = (hash ^ std::bit_cast<std::uint32_t>(value)) * 0x100000001b3u;
  return hash;
}

double dot(std::span<const float> a, std::span<const float> b) {
  double sum = 0;
  for (std::size_t i = 0; i < a.size(); ++i) sum += static_cast<double>(a[i]) * static_cast<double>(b[i]);
  return sum;
}

std::span<const float> vector_at(const std::vector<float>& set, std::size_t dims, std::size_t index) {
  return std::span{set}.subspan(index * dims, dims);
}

// Largest distance between the empirical distribution of `values` and N(0, 1), times sqrt(n) (Kolmogorov-Smirnov).
double normal_misfit(std::vector<float> values) {
  std::sort(values.begin(), values.end());
  const auto n = static_cast<double>(values.size());
  double worst = 0;
  for (std::size_t i = 0; i < values.size(); ++i) {
    const double expected = std::erfc(-static_cast<double>(values[i]) / std::sqrt(2.0)) / 2;
    const auto rank = static_cast<double>(i);
    worst = std::max({worst, std::abs(expected - rank / n), std::abs(expected - (rank + 1) / n)});
  }
  return worst * std::sqrt(n);
}
constexpr double misfit_limit = 2.23;  // exceeded with probability 2 exp(-2 * 2.23^2) = 1e-4 by true normals

// The largest eigenvalues of the sample covariance, by power iteration with deflation.
std::vector<double> leading_variances(const std::vector<float>& set, std::size_t dims, std::size_t count) {
  const std::size_t n = set.size() / dims;
  std::vector<double> covariance(dims * dims);
  for (std::size_t i = 0; i < n; ++i) {
    const auto x = vector_at(set, dims, i);
    for (std::size_t a = 0; a < dims; ++a) {
      for (std::size_t b = 0; b < dims; ++b) {
        covariance[a * dims + b] += static_cast<double>(x[a]) * static_cast<double>(x[b]) / static_cast<double>(n);
      }
    }
  }
  std::vector<double> variances;
  for (std::size_t component = 0; component < count; ++component) {
    std::vector<double> direction(dims, 1.0);
    double variance = 0;
    for (int step = 0; step < 300; ++step) {
      std::vector<double> next(dims);
      double norm = 0;
      for (std::size_t a = 0; a < dims; ++a) {
        for (std::size_t b = 0; b < dims; ++b) next[a] += covariance[a * dims + b] * direction[b];
        norm += next[a] * next[a];
      }
      variance = std::sqrt(norm);
      for (std::size_t a = 0; a < dims; ++a) direction[a] = next[a] / variance;
    }
    for (std::size_t a = 0; a < dims; ++a) {
      for (std::size_t b = 0; b < dims; ++b) covariance[a * dims + b] -= variance * direction[a] * direction[b];
    }
    variances.push_back(variance);
  }
  return variances;
}

TEST(Synthetic, IsTheSameOnEveryMachine) {
  const std::uint64_t golden[][2] = {{1739376930811466965u, 17738891568190356302u},
                                     {1052560096313693086u, 2857895817861296561u},
                                     {16777980757771385707u, 14713876505176140735u}};
  for (std::size_t i = 0; i < std::size(families); ++i) {
    const Synthetic set = make_synthetic(families[i], 300, 20, 100, /*seed=*/7);
    EXPECT_EQ(checksum(set.rows), golden[i][0]) << name(families[i]);
    EXPECT_EQ(checksum(set.queries), golden[i][1]) << name(families[i]);
  }
}

TEST(Synthetic, IsExtendedByMoreRowsAndQueries) {
  for (const Family family : families) {
    const Synthetic some = make_synthetic(family, 395, 3, 24, 7);
    const Synthetic more = make_synthetic(family, 400, 3, 24, 7);  // ceil(sqrt()) of both is 20
    EXPECT_TRUE(std::equal(some.rows.begin(), some.rows.end(), more.rows.begin())) << name(family);
    const Synthetic asked = make_synthetic(family, 400, 9, 24, 7);
    EXPECT_TRUE(std::equal(more.queries.begin(), more.queries.end(), asked.queries.begin())) << name(family);
  }
}

TEST(Synthetic, ChangesWithTheSeed) {
  for (const Family family : families) {
    const Synthetic one = make_synthetic(family, 10, 2, 16, 1);
    const Synthetic two = make_synthetic(family, 10, 2, 16, 2);
    EXPECT_NE(one.rows, two.rows) << name(family);
    EXPECT_NE(one.queries, two.queries) << name(family);
  }
}

TEST(Synthetic, HasTheShapeAskedForAtTheEdges) {
  for (const Family family : families) {
    for (const std::size_t dims : {1u, 2u, 3u, 31u, 33u}) {
      for (const std::size_t rows : {0u, 1u, 5u}) {
        const Synthetic set = make_synthetic(family, rows, 2, dims, 7);
        EXPECT_EQ(set.dims, dims);
        EXPECT_EQ(set.rows.size(), rows * dims);
        EXPECT_EQ(set.queries.size(), 2 * dims);
        EXPECT_TRUE(std::all_of(set.queries.begin(), set.queries.end(), [](float v) { return std::isfinite(v); }));
      }
    }
  }
}

TEST(Synthetic, RejectsNoDimensionsAndImpossibleSizes) {
  EXPECT_THROW((void)make_synthetic(Family::gaussian, 1, 1, 0, 7), ShapeError);
  const std::size_t huge = std::numeric_limits<std::size_t>::max() / 8;  // times 16 it would wrap to a small number
  EXPECT_THROW((void)make_synthetic(Family::gaussian, huge, 1, 16, 7), ShapeError);
  EXPECT_THROW((void)make_synthetic(Family::gaussian, 1, huge, 16, 7), ShapeError);
}

TEST(Family, IsFoundByItsNameAndByNoOther) {
  for (const Family family : families) EXPECT_EQ(family_named(name(family)), family);
  for (const std::string other : {"", "Gaussian", "gaussian "}) EXPECT_THROW((void)family_named(other), ValueError);
}

TEST(Gaussian, FollowsTheNormalDistribution) {
  EXPECT_LT(normal_misfit(make_synthetic(Family::gaussian, 2000, 0, 100, 7).rows), misfit_limit);
}

TEST(Gaussian, TheTestAboveCatchesASumOfFourUniforms) {
  std::vector<float> sums(200'000);
  std::uint64_t state = 7;
  for (float& sum : sums) {
    for (int i = 0; i < 4; ++i) {
      state = state * 6364136223846793005u + 1442695040888963407u;
      sum += static_cast<float>(state >> 40) * 0x1p-24f - 0.5f;
    }
    sum *= std::sqrt(3.0f);  // variance of the four: 4 / 12
  }
  EXPECT_GT(normal_misfit(sums), misfit_limit);
}

TEST(Gaussian, HasUncorrelatedNeighbours) {
  // The two values of a Box-Muller pair share a radius, adjacent pairs a seed: neither may show.
  const std::vector<float> x = make_synthetic(Family::gaussian, 2000, 0, 100, 7).rows;
  for (const std::size_t lag : {1u, 2u, 100u}) {
    double products = 0, energies = 0;
    for (std::size_t i = 0; i + lag < x.size(); ++i) {
      const auto a = static_cast<double>(x[i]), b = static_cast<double>(x[i + lag]);
      products += a * b;
      energies += (a * a - 1) * (b * b - 1) / 2;
    }
    const double limit = 4 * std::sqrt(static_cast<double>(x.size()));  // both sums have variance n; 4 deviations
    EXPECT_LT(std::abs(products), limit) << "lag " << lag;
    EXPECT_LT(std::abs(energies), limit) << "lag " << lag;
  }
}

TEST(PowerLaw, HasVariancesThatFallWithTheIndexOfTheDirection) {
  constexpr std::size_t dims = 48;  // not a power of two: the rotation needs its overlapping blocks
  const Synthetic set = make_synthetic(Family::power_law, 20'000, 0, dims, 7);
  // A sample variance deviates by sqrt(2 / n) = 1 % of itself, and eigenvalues repel a little: 5 %.
  const std::vector<double> variances = leading_variances(set.rows, dims, 3);
  for (std::size_t j = 0; j < variances.size(); ++j) {
    const double expected = 1 / static_cast<double>(j + 1);
    EXPECT_NEAR(variances[j], expected, 0.05 * expected);
  }
  double harmonic = 0;
  for (std::size_t j = 1; j <= dims; ++j) harmonic += 1 / static_cast<double>(j);
  EXPECT_NEAR(dot(set.rows, set.rows) / 20'000, harmonic, 0.05 * harmonic);
}

TEST(PowerLaw, FavoursNoCoordinateAxis) {
  for (const std::size_t dims : {48u, 64u, 384u}) {
    const Synthetic set = make_synthetic(Family::power_law, 4000, 0, dims, 7);
    std::vector<double> energy(dims);
    double total = 0;
    for (std::size_t i = 0; i < set.rows.size(); ++i) {
      const double square = static_cast<double>(set.rows[i]) * static_cast<double>(set.rows[i]);
      energy[i % dims] += square;
      total += square;
    }
    // Unrotated, the first axis would hold 1 / H(dims) = 15 to 22 % of the energy. Rotated at random, the coefficient
    // of the first direction is about N(0, 1 / dims), so an axis holds that share times its square: 10 / dims at most.
    EXPECT_LT(*std::max_element(energy.begin(), energy.end()) / total, 10.0 / static_cast<double>(dims)) << dims;
  }
}

TEST(Clustered, HasTheVarianceOfCentresAndNoise) {
  const Synthetic set = make_synthetic(Family::clustered, 10'000, 0, 64, 7);
  // About 100 centres of 64 coordinates, the largest with 5 % of the rows: 1 +- 0.05 for them, exact for the noise.
  EXPECT_NEAR(dot(set.rows, set.rows) / static_cast<double>(set.rows.size()), 1.36, 0.1);
}

TEST(Clustered, PutsEveryQueryNearARowAndAmongRowsOfItsCluster) {
  constexpr std::size_t dims = 64, rows = 2500;
  const Synthetic set = make_synthetic(Family::clustered, rows, 30, dims, 7);
  for (std::size_t j = 0; j < 30; ++j) {
    const auto query = vector_at(set.queries, dims, j);
    std::vector<double> distance(rows);
    for (std::size_t i = 0; i < rows; ++i) {
      const auto row = vector_at(set.rows, dims, i);
      distance[i] = std::sqrt((dot(row, row) - 2 * dot(row, query) + dot(query, query)) / dims);
    }
    std::sort(distance.begin(), distance.end());
    // Per coordinate: its own row 0.3; rows of its cluster (2500 / 50 or so, at least several) sqrt(0.09 + 2 * 0.36) =
    // 0.9; other clusters sqrt(2 + 0.81) = 1.68. Lengths of 64 coordinates deviate by 1 / sqrt(2 * 64) = 9 %; 4
    // deviations.
    EXPECT_NEAR(distance[0], 0.3, 0.12);
    EXPECT_NEAR(distance[5], 0.9, 0.36);
    EXPECT_NEAR(distance[rows / 2], 1.68, 0.3);
  }
}

TEST(Clustered, HasLargeAndSmallClusters) {
  constexpr std::size_t dims = 64, rows = 2500;
  const Synthetic set = make_synthetic(Family::clustered, rows, 0, dims, 7);
  std::size_t smallest = rows, largest = 0;
  for (std::size_t j = 0; j < 200; ++j) {
    std::size_t mates = 0;
    const auto x = vector_at(set.rows, dims, j);
    for (std::size_t i = 0; i < rows; ++i) {
      const auto y = vector_at(set.rows, dims, i);
      // Rows of one cluster differ by 0.85 per coordinate, of two clusters by 1.65.
      if (std::sqrt((dot(x, x) - 2 * dot(x, y) + dot(y, y)) / dims) < 1.2) ++mates;
    }
    smallest = std::min(smallest, mates);
    largest = std::max(largest, mates);
  }
  EXPECT_GT(largest, 4 * smallest);  // weights 1 to 50^(-1/2) = 0.14
}

}  // namespace
}  // namespace mpp::ranking

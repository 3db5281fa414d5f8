#include <algorithm>
#include <cmath>
#include <functional>
#include <random>

#include <gtest/gtest.h>

#include "src/cpu/spectral_norm.hpp"
#include "src/spectral_norm.hpp"

// Metadata of all devices are equal to the byte. So every instruction set does the operations of this scalar code, in its order.
namespace mpp::kernels {
namespace {

struct Rows {
  std::size_t head_dim;
  double channel[max_head_dim][page_tokens] = {};

  Rows(std::size_t dims, const std::function<double(std::size_t, std::size_t)>& residual) : head_dim(dims) {
    for (std::size_t i = 0; i < page_tokens; ++i)
      for (std::size_t j = 0; j < dims; ++j) channel[j][i] = residual(i, j);
  }
};

bool has_factor(const double (&gram)[page_tokens][page_tokens], double tau) {
  double lower[page_tokens][page_tokens];
  for (std::size_t i = 0; i < page_tokens; ++i)
    for (std::size_t j = 0; j <= i; ++j) lower[i][j] = (i == j ? tau : 0.0) - gram[i][j];
  for (std::size_t k = 0; k < page_tokens; ++k) {
    if (!(lower[k][k] > 0.0)) return false;
    const double pivot = 1.0 / lower[k][k];
    for (std::size_t i = k + 1; i < page_tokens; ++i) {
      const double factor = lower[i][k] * pivot;
      for (std::size_t j = k + 1; j <= i; ++j) lower[i][j] -= factor * lower[j][k];
    }
  }
  return true;
}

double in_order(const Rows& rows) {
  double gram[page_tokens][page_tokens] = {}, x[page_tokens], trace = 0.0, eigenvalue = 0.0;
  for (std::size_t i = 0; i < page_tokens; ++i) {
    for (std::size_t j = 0; j < page_tokens; ++j)
      for (std::size_t k = 0; k < rows.head_dim; ++k) gram[i][j] += rows.channel[k][i] * rows.channel[k][j];
    trace += gram[i][i];
    x[i] = 1.0;
  }
  if (trace == 0.0) return 0.0;
  for (int round = 0; round < spectral_rounds; ++round) {
    double y[page_tokens] = {}, largest = 0.0, square = 0.0, before = 0.0;
    for (std::size_t i = 0; i < page_tokens; ++i) {
      for (std::size_t k = 0; k < page_tokens; ++k) y[i] += gram[k][i] * x[k];
      before += x[i] * x[i], square += y[i] * y[i];
      largest = std::max(largest, std::fabs(y[i]));
    }
    if (largest == 0.0) break;
    eigenvalue = std::sqrt(square / before);
    for (std::size_t i = 0; i < page_tokens; ++i) x[i] = y[i] / largest;
  }
  eigenvalue = std::max(eigenvalue, trace / static_cast<double>(page_tokens));
  for (double tau = eigenvalue * first_spectral_trial; tau < trace; tau *= next_spectral_trial)
    if (has_factor(gram, tau)) return std::sqrt(tau);
  return std::sqrt(trace);
}

TEST(SpectralNorm, IsTheSameNumberOnEveryInstructionSet) {
  std::mt19937_64 random(5);
  std::normal_distribution<double> normal;
  for (const std::size_t dims : {32, 96, 128, 256}) {
    double heavy[page_tokens], direction[max_head_dim];
    for (double& x : heavy) x = normal(random);
    for (double& x : direction) x = normal(random);
    const std::function<double(std::size_t, std::size_t)> families[] = {
        [&](std::size_t, std::size_t) { return 0.25 * normal(random); },
        [&](std::size_t i, std::size_t j) { return heavy[i] * direction[j]; },                    // rank one
        [&](std::size_t i, std::size_t j) { return i % 2 == 0 ? direction[j] : -direction[j]; },  // tokens that cancel
        [&](std::size_t i, std::size_t j) { return i == 9 ? direction[j] : 1e-9 * normal(random); },
        [&](std::size_t i, std::size_t j) { return j == i % 32 ? 1.0 : 0.0; },  // many equal eigenvalues
        [](std::size_t, std::size_t) { return 0.0; },
    };
    for (std::size_t f = 0; f < std::size(families); ++f) {
      const Rows rows(dims, families[f]);
      EXPECT_EQ(cpu::spectral_norm(rows.channel, dims), in_order(rows)) << dims << " channels, family " << f;
    }
  }
}

TEST(SpectralNorm, IsTightWhereItIsKnown) {
  // 64 equal rows of norm 3: 8 times that. One row alone: its norm.
  const Rows equal(128, [](std::size_t, std::size_t j) { return j < 9 ? 1.0 : 0.0; });
  const Rows one(128, [](std::size_t i, std::size_t j) { return i == 40 && j < 9 ? 1.0 : 0.0; });
  for (const auto& [rows, norm] : {std::pair(&equal, 24.0), std::pair(&one, 3.0)}) {
    const double found = cpu::spectral_norm(rows->channel, 128);
    EXPECT_GE(found, norm);
    EXPECT_LE(found, norm * std::sqrt(first_spectral_trial) * (1.0 + 0x1p-40));
  }
}

}  // namespace
}  // namespace mpp::kernels

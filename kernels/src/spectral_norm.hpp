#pragma once
#include <cmath>
#include <cstddef>

#include <mpp/kernels/kv_page.hpp>

// An upper bound of the largest singular value of the residuals of a page, in plain double and in one order of operations, so
// that every device finds the same one.
namespace mpp::kernels {

inline constexpr int spectral_rounds = 16;                    ///< of the power iteration
inline constexpr double first_spectral_trial = 1.0 + 0x1p-6;  ///< times the eigenvalue that it found
inline constexpr double next_spectral_trial = 1.0 + 0x1p-5;   ///< times the trial that failed

/// The largest eigenvalue of a positive semidefinite matrix is below tau if tau I - G has a Cholesky factor. So a power
/// iteration guesses, and the factorization proves. A factor that is found in floating point is the exact one of a matrix that
/// is off by at most 65 * 64 * 2^-53 tau; with the sums of G, 256 products each, that is inside spectral_slack.
///
/// gram: [page_tokens][page_tokens], symmetric.  lower: scratch of the same size.
/// @return  >= the root of the largest eigenvalue, and at most (1 + 2^-5)^(1/2) times that: the trial before the last one failed
inline double spectral_norm_of(const double (*gram)[page_tokens], double (*lower)[page_tokens]) {
  double x[page_tokens], y[page_tokens];
  for (double& of : x) of = 1.0;
  double eigenvalue = 0.0, trace = 0.0;
  for (std::size_t i = 0; i < page_tokens; ++i) trace += gram[i][i];
  if (trace == 0.0) return 0.0;
  for (int round = 0; round < spectral_rounds; ++round) {
    double largest = 0.0, square = 0.0, before = 0.0;
    for (double& of : y) of = 0.0;
    for (std::size_t k = 0; k < page_tokens; ++k)
      for (std::size_t i = 0; i < page_tokens; ++i) y[i] += gram[k][i] * x[k];
    for (std::size_t i = 0; i < page_tokens; ++i) {
      before += x[i] * x[i], square += y[i] * y[i];
      largest = largest > std::fabs(y[i]) ? largest : std::fabs(y[i]);
    }
    if (largest == 0.0) break;  // x is orthogonal to all rows: tokens that cancel
    eigenvalue = std::sqrt(square / before);
    for (std::size_t i = 0; i < page_tokens; ++i) x[i] = y[i] / largest;
  }
  const double mean = trace / static_cast<double>(page_tokens);  // of all eigenvalues
  eigenvalue = eigenvalue > mean ? eigenvalue : mean;
  for (double tau = eigenvalue * first_spectral_trial; tau > 0.0 && tau < trace; tau *= next_spectral_trial) {
    bool positive = true;
    for (std::size_t i = 0; i < page_tokens; ++i)
      for (std::size_t j = 0; j < page_tokens; ++j) lower[i][j] = (i == j ? tau : 0.0) - gram[i][j];
    for (std::size_t k = 0; k < page_tokens && positive; ++k) {
      positive = lower[k][k] > 0.0;
      const double pivot = 1.0 / lower[k][k];
      for (std::size_t i = k + 1; i < page_tokens && positive; ++i) {
        const double factor = lower[i][k] * pivot;
        for (std::size_t j = k + 1; j <= i; ++j) lower[i][j] -= factor * lower[j][k];
      }
    }
    if (positive) return std::sqrt(tau);
  }
  return std::sqrt(trace);  // the sum of all eigenvalues
}

}  // namespace mpp::kernels

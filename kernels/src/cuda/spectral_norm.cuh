#pragma once
// The spectral norm of the residuals of a page by one block of 256 threads: the operations of the CPU on every number in the
// same order, so the same bits. Rows of 65 numbers keep the columns of a triangle in different banks.
#include <cstddef>

#include <mpp/kernels/kv_page.hpp>

#include "src/spectral_norm.hpp"

namespace mpp::kernels::cuda {

struct Spectrum {
  static constexpr unsigned rows = page_tokens, slice = 8;  // channels whose terms are there at a time
  static constexpr unsigned width = 256;                    // of the block

  double matrix[rows][rows + 1];  // up to the diagonal the Gram matrix; right of it, transposed, what is factored
  double diagonal[rows];          // of what is factored
  double x[rows], y[rows];
  double terms[slice][rows];
  double trace, eigenvalue, largest;
};

/// Gram matrix of term(token, channel). A thread owns a tile of 4 x 4, if one of the lower triangle.
template <class Term>
__device__ void multiply_residuals(Spectrum& s, unsigned head_dim, Term term) {
  constexpr unsigned tiles = Spectrum::rows / 4;
  static_assert(tiles * tiles == Spectrum::width);
  const unsigned row = threadIdx.x / tiles * 4, column = threadIdx.x % tiles * 4;
  double sums[4][4] = {};
  for (unsigned first = 0; first < head_dim; first += Spectrum::slice) {
    __syncthreads();
    for (unsigned i = threadIdx.x; i < Spectrum::slice * Spectrum::rows; i += Spectrum::width)
      s.terms[i / Spectrum::rows][i % Spectrum::rows] = term(i % Spectrum::rows, first + i / Spectrum::rows);
    __syncthreads();
    if (row < column) continue;
    for (unsigned k = 0; k < Spectrum::slice; ++k)
#pragma unroll
      for (unsigned i = 0; i < 4; ++i)
#pragma unroll
        for (unsigned j = 0; j < 4; ++j) sums[i][j] += s.terms[k][row + i] * s.terms[k][column + j];
  }
#pragma unroll
  for (unsigned i = 0; i < 4; ++i)
#pragma unroll
    for (unsigned j = 0; j < 4; ++j)
      if (row + i >= column + j) s.matrix[row + i][column + j] = sums[i][j];
  __syncthreads();
}

/// Guesses the largest eigenvalue from below.
__device__ inline void iterate_powers(Spectrum& s) {
  const unsigned i = threadIdx.x;
  if (i < Spectrum::rows) s.x[i] = 1.0;
  if (i == 0) {
    s.trace = s.eigenvalue = 0.0;
    for (unsigned k = 0; k < Spectrum::rows; ++k) s.trace += s.matrix[k][k];
  }
  for (int round = 0; round < spectral_rounds; ++round) {
    __syncthreads();
    if (i < Spectrum::rows) {
      double sum = 0.0;
      for (unsigned k = 0; k < Spectrum::rows; ++k) sum += (k >= i ? s.matrix[k][i] : s.matrix[i][k]) * s.x[k];
      s.y[i] = sum;
    }
    __syncthreads();
    if (i == 0) {
      double largest = 0.0, square = 0.0, before = 0.0;
      for (unsigned k = 0; k < Spectrum::rows; ++k) {
        before += s.x[k] * s.x[k], square += s.y[k] * s.y[k];
        largest = largest > fabs(s.y[k]) ? largest : fabs(s.y[k]);
      }
      s.largest = largest;
      if (largest != 0.0) s.eigenvalue = sqrt(square / before);
    }
    __syncthreads();
    if (s.largest == 0.0) return;
    if (i < Spectrum::rows) s.x[i] = s.y[i] / s.largest;
  }
}

/// Whether tau I - G has a Cholesky factor. Element (i, j) of what is factored, j < i, is s.matrix[j][i].
__device__ inline bool above_all_eigenvalues(Spectrum& s, double tau) {
  const unsigned i = threadIdx.x % Spectrum::rows, part = threadIdx.x / Spectrum::rows;
  constexpr unsigned parts = Spectrum::width / Spectrum::rows;
  for (unsigned j = part; j < i; j += parts) s.matrix[j][i] = 0.0 - s.matrix[i][j];
  if (part == 0) s.diagonal[i] = tau - s.matrix[i][i];
  for (unsigned k = 0; k < Spectrum::rows; ++k) {
    __syncthreads();
    const double end = s.diagonal[k];
    if (!(end > 0.0)) return false;
    if (i <= k) continue;
    const double factor = s.matrix[k][i] * (1.0 / end);
    for (unsigned j = k + 1 + part; j < i; j += parts) s.matrix[j][i] -= factor * s.matrix[k][j];
    if (part == 0) s.diagonal[i] -= factor * s.matrix[k][i];
  }
  return true;
}

/// term: double of (token, channel).  head_dim: a multiple of 8.  @return the same to all threads
template <class Term>
__device__ double spectral_norm(Spectrum& s, unsigned head_dim, Term term) {
  multiply_residuals(s, head_dim, term);
  iterate_powers(s);
  __syncthreads();
  const double trace = s.trace, mean = trace / static_cast<double>(page_tokens);
  const double eigenvalue = s.eigenvalue > mean ? s.eigenvalue : mean;
  if (trace == 0.0) return 0.0;
  for (double tau = eigenvalue * first_spectral_trial; tau > 0.0 && tau < trace; tau *= next_spectral_trial) {
    if (above_all_eigenvalues(s, tau)) return sqrt(tau);
    __syncthreads();  // before the next trial fills what this one still reads
  }
  return sqrt(trace);
}

}  // namespace mpp::kernels::cuda

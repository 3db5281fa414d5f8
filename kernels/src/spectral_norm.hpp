#pragma once

// An upper bound of the largest singular value of the residuals R of a page, in plain double and in one order of operations
// on every number, so that every device finds the same one.
//
// The largest eigenvalue of G = R R' is below tau if tau I - G has a Cholesky factor. So a power iteration from a vector of
// ones guesses, and the factorization proves: a first trial a little above the guess, and if that fails larger ones, up to the
// trace, the sum of all eigenvalues. A guess is never below their mean, so that tokens that cancel, to which ones are
// orthogonal, are tight too. A factor that is found in floating point is the exact one of a matrix that is off by at most
// 67 * 64 * 2^-53 tau; with the sums of G, 256 products each, that is inside the slack of a PageSummary (page_code.hpp).
//
// So the result is at least the norm, and at most (1 + 2^-5)^(1/2) times it: the trial before the last one failed.
namespace mpp::kernels {

inline constexpr int spectral_rounds = 16;                    ///< of the power iteration
inline constexpr double first_spectral_trial = 1.0 + 0x1p-6;  ///< times the eigenvalue that it found
inline constexpr double next_spectral_trial = 1.0 + 0x1p-5;   ///< times the trial that failed

}  // namespace mpp::kernels

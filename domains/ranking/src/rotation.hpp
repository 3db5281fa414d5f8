#pragma once
#include <cstdint>
#include <span>
#include <vector>

namespace mpp::ranking {

/// A rotation drawn from the Haar measure, rounded to float: [dims, dims], row-major. Deterministic for a seed.
/// Source: Mezzadri 2007, QR of a Gaussian matrix with the signs of R's diagonal made positive.
[[nodiscard]] std::vector<float> haar_rotation(std::size_t dims, std::uint64_t seed);

/// Upper bound on ||R^T R - I|| (Frobenius, so also spectral), rounded up: |q.z - Rq.Rz| <= defect ||q|| ||z||.
[[nodiscard]] double orthogonality_defect(std::span<const float> rotation, std::size_t dims);

/// out = scale * R v for every row v. Computed in double.
/// @param vectors, out  [n, dims]
void rotate(std::span<const float> rotation, std::size_t dims, std::span<const double> vectors, double scale,
            std::span<double> out);

}  // namespace mpp::ranking

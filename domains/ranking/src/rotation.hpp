#pragma once
#include <cstdint>
#include <span>
#include <vector>

namespace mpp::ranking {

// A rotation R = H_0 H_1 ... H_{D-1} S of R^D is stored as its reflectors. H_k = I - tau v v^T acts on the coordinates
// k ... D-1, with v = (1, tail_k) and tau = 2 / (1 + |tail_k|^2); S = diag(sign). Packed: for k = 0 ... D-1 the sign (1 or
// -1) and then the D - k - 1 floats of tail_k. Half the bytes of a dense matrix, and exactly orthogonal whatever floats
// the tails hold. The identity has every sign -1 (H_k with an empty or zero tail flips coordinate k) and every tail 0.

/// Floats of a packed rotation.
[[nodiscard]] constexpr std::size_t rotation_floats(std::size_t dims) noexcept { return dims * (dims + 1) / 2; }
/// Where reflector k starts: at its sign.
[[nodiscard]] constexpr std::size_t reflector_start(std::size_t dims, std::size_t k) noexcept {
  return rotation_floats(dims) - rotation_floats(dims - k);
}

/// A rotation drawn from the Haar measure, its tails rounded to float. Deterministic for a seed.
/// Source: Stewart 1980, section 3: reflector k comes from a Gaussian vector of its own in R^(D-k). The signs make the
/// diagonal of the triangular factor positive (Mezzadri 2007): in law this is the Q of a Gaussian matrix.
[[nodiscard]] std::vector<float> haar_rotation(std::size_t dims, std::uint64_t seed);

/// out = R (scale * vector) for one vector, straight from the packed floats. Computed in double.
/// @param scale        a power of two
/// @param vector, out  [dims], apart from each other
void rotate(std::span<const float> rotation, std::size_t dims, std::span<const double> vector, double scale,
            std::span<double> out);

/// A rotation that `vectors` vectors will go through, in pieces: expanded once to a dense matrix in double (8 dims^2
/// bytes) when that is less work. Refers to `rotation`.
class BulkRotation {
 public:
  BulkRotation(std::span<const float> rotation, std::size_t dims, std::size_t vectors);
  /// out = R (scale * v) for every row v.   vectors, out: [n, dims]   scale: a power of two
  void operator()(std::span<const double> vectors, double scale, std::span<double> out) const;

 private:
  std::span<const float> rotation_;
  std::size_t dims_;
  std::vector<double> dense_;  // [dims, dims] row-major, or empty
};

/// Bound on ||computed R z - R z|| / ||z|| of both ways to rotate, apart from underflow. docs/ranking.md has the proof.
[[nodiscard]] double rotation_rounding(std::size_t dims);

/// Bound on ||R - R0|| (spectral), R0 the rotation that haar_rotation() would have drawn without rounding the tails.
[[nodiscard]] double haar_rounding(std::size_t dims);

}  // namespace mpp::ranking

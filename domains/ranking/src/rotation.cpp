#include <cmath>
#include <numbers>
#include <random>

#include <Eigen/Dense>

#include "src/rotation.hpp"

namespace mpp::ranking {
namespace {

using Matrix = Eigen::Matrix<double, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
using FloatMatrix = Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;

Eigen::Index index(std::size_t n) { return static_cast<Eigen::Index>(n); }

Matrix in_double(std::span<const float> rotation, std::size_t dims) {
  return Eigen::Map<const FloatMatrix>(rotation.data(), index(dims), index(dims)).cast<double>();
}

// Box-Muller: std::normal_distribution differs between standard libraries.
Matrix gaussian(std::size_t dims, std::uint64_t seed) {
  std::mt19937_64 random(seed);
  const auto uniform = [&] { return (static_cast<double>(random() >> 11) + 0.5) * 0x1p-53; };
  Matrix m(index(dims), index(dims));
  for (Eigen::Index i = 0; i < m.size(); ++i) {
    const double radius = std::sqrt(-2.0 * std::log(uniform()));
    m.data()[i] = radius * std::cos(2.0 * std::numbers::pi * uniform());
  }
  return m;
}

}  // namespace

std::vector<float> haar_rotation(std::size_t dims, std::uint64_t seed) {
  const Eigen::HouseholderQR<Matrix> qr(gaussian(dims, seed));
  Matrix q = qr.householderQ() * Matrix::Identity(index(dims), index(dims));
  for (Eigen::Index j = 0; j < q.cols(); ++j)
    if (qr.matrixQR()(j, j) < 0.0) q.col(j) = -q.col(j);
  std::vector<float> rotation(dims * dims);
  Eigen::Map<FloatMatrix>(rotation.data(), index(dims), index(dims)) = q.cast<float>();
  return rotation;
}

double orthogonality_defect(std::span<const float> rotation, std::size_t dims) {
  const Matrix r = in_double(rotation, dims);
  const Matrix difference = r.transpose() * r - Matrix::Identity(index(dims), index(dims));
  // The product itself errs by at most dims 2^-53 |R|^T |R| per entry, hence dims^2 2^-52 in norm.
  return difference.norm() * (1.0 + 0x1p-30) + static_cast<double>(dims) * static_cast<double>(dims) * 0x1p-52;
}

void rotate(std::span<const float> rotation, std::size_t dims, std::span<const double> vectors, double scale,
            std::span<double> out) {
  const std::size_t n = dims == 0 ? 0 : vectors.size() / dims;
  if (n == 1) {  // one query: no copy of the matrix
    for (std::size_t i = 0; i < dims; ++i) {
      const float* row = rotation.data() + i * dims;
      double sum = 0.0;
      for (std::size_t j = 0; j < dims; ++j) sum += row[j] * vectors[j];
      out[i] = scale * sum;
    }
    return;
  }
  const Eigen::Map<const Matrix> v(vectors.data(), index(n), index(dims));
  Eigen::Map<Matrix> result(out.data(), index(n), index(dims));
  result.noalias() = scale * (v * in_double(rotation, dims).transpose());
}

}  // namespace mpp::ranking

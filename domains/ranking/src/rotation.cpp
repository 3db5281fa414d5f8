#include <algorithm>
#include <cmath>
#include <numbers>
#include <random>

#include <Eigen/Dense>

#include "src/rotation.hpp"
#include "src/running_sums.hpp"

namespace mpp::ranking {
namespace {

using Matrix = Eigen::Matrix<double, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
using Panel = Eigen::MatrixXd;

constexpr std::size_t panel_width = 32;  // rotation_rounding() knows it

Eigen::Index index(std::size_t n) { return static_cast<Eigen::Index>(n); }

// Box-Muller: std::normal_distribution differs between standard libraries.
class Gaussian {
 public:
  explicit Gaussian(std::uint64_t seed) : random_(seed) {}
  double operator()() {
    const double radius = std::sqrt(-2.0 * std::log(uniform()));
    return radius * std::cos(2.0 * std::numbers::pi * uniform());
  }

 private:
  double uniform() { return (static_cast<double>(random_() >> 12) + 0.5) * 0x1p-52; }  // exact, never 0 or 1
  std::mt19937_64 random_;
};

// y <- H y for the reflector with v = (1, tail);  y: [1 + n], tail: [n].
void reflect(const float* tail, std::size_t n, double* y) {
  double* rest = y + 1;
  const double product = sum_of(n, [=](std::size_t j) { return double{tail[j]} * rest[j]; });
  const double square = sum_of(n, [=](std::size_t j) { return double{tail[j]} * tail[j]; });
  const double step = 2.0 * (y[0] + product) / (1.0 + square);
  y[0] -= step;
  for (std::size_t j = 0; j < n; ++j) rest[j] -= step * static_cast<double>(tail[j]);
}

// From the last reflector to the first, a panel of them at a time: H_k ... H_{k+b-1} = I - W V^T (Bischof and Van Loan
// 1987), applied to the lower right corner, which is all that is not the identity yet.
std::vector<double> expanded(std::span<const float> rotation, std::size_t dims) {
  std::vector<double> dense(dims * dims);
  Eigen::Map<Matrix> q(dense.data(), index(dims), index(dims));
  q.setIdentity();
  for (std::size_t end = dims; end > 0;) {
    const std::size_t first = (end - 1) / panel_width * panel_width;
    const Eigen::Index n = index(dims - first);
    const Eigen::Index width = index(end - first);
    Panel v = Panel::Zero(n, width);
    Panel w(n, width);
    for (Eigen::Index j = 0; j < width; ++j) {
      const float* tail = rotation.data() + reflector_start(dims, first + static_cast<std::size_t>(j)) + 1;
      v(j, j) = 1.0;
      v.col(j).tail(n - j - 1) = Eigen::Map<const Eigen::VectorXf>(tail, n - j - 1).cast<double>();
      w.col(j) = v.col(j);
      w.col(j).noalias() -= w.leftCols(j) * (v.leftCols(j).transpose() * v.col(j));
      w.col(j) *= 2.0 / v.col(j).squaredNorm();
    }
    auto corner = q.bottomRightCorner(n, n);
    const Matrix products = v.transpose() * corner;
    corner.noalias() -= w * products;
    end = first;
  }
  for (std::size_t k = 0; k < dims; ++k) q.col(index(k)) *= rotation[reflector_start(dims, k)];
  return dense;
}

// Vectors that could be rotated one by one in the time of the expansion: measured as 0.7 dims at 128, 0.2 dims at 1024.
std::size_t worth_expanding(std::size_t dims) { return dims / 4 + 1; }

}  // namespace

std::vector<float> haar_rotation(std::size_t dims, std::uint64_t seed) {
  Gaussian gaussian(seed);
  std::vector<float> rotation(rotation_floats(dims));
  std::vector<double> x(dims);
  for (std::size_t k = 0; k < dims; ++k) {
    const std::size_t n = dims - k;
    double squares = 0.0;
    for (std::size_t j = 0; j < n; ++j) {
      x[j] = gaussian();
      squares += x[j] * x[j];
    }
    // H_k takes x to -sign(x[0]) ||x|| e_0: of the two multiples of e_0, the one without cancellation in v.
    float* reflector = rotation.data() + reflector_start(dims, k);
    reflector[0] = x[0] < 0.0 ? 1.0F : -1.0F;
    const double head = x[0] + std::copysign(std::sqrt(squares), x[0]);
    for (std::size_t j = 1; j < n; ++j) reflector[j] = static_cast<float>(x[j] / head);
  }
  return rotation;
}

void rotate(std::span<const float> rotation, std::size_t dims, std::span<const double> vector, double scale,
            std::span<double> out) {
  for (std::size_t k = 0; k < dims; ++k) out[k] = scale * rotation[reflector_start(dims, k)] * vector[k];
  for (std::size_t k = dims; k-- > 0;)
    reflect(rotation.data() + reflector_start(dims, k) + 1, dims - k - 1, out.data() + k);
}

BulkRotation::BulkRotation(std::span<const float> rotation, std::size_t dims, std::size_t vectors)
    : rotation_(rotation), dims_(dims) {
  if (vectors >= worth_expanding(dims)) dense_ = expanded(rotation, dims);
}

void BulkRotation::operator()(std::span<const double> vectors, double scale, std::span<double> out) const {
  const std::size_t n = vectors.size() / dims_;
  if (dense_.empty()) {
    for (std::size_t i = 0; i < n; ++i)
      rotate(rotation_, dims_, vectors.subspan(i * dims_, dims_), scale, out.subspan(i * dims_, dims_));
    return;
  }
  const Eigen::Map<const Matrix> v(vectors.data(), index(n), index(dims_));
  const Eigen::Map<const Matrix> r(dense_.data(), index(dims_), index(dims_));
  Eigen::Map<Matrix> result(out.data(), index(n), index(dims_));
  result.noalias() = scale * (v * r.transpose());
}

// With b = panel_width, u = 2^-53 and to first order in u, per ||z||: one by one 2 D (D + 6) u; expanded
// D (D + 3 b + 8) (b + sqrt(D)) u for the matrix and D sqrt(D) u for the product with it. Their sum, doubled: up to 32768
// dims the higher orders are below 2^-13 of the first.
double rotation_rounding(std::size_t dims) {
  const auto d = static_cast<double>(dims);
  const auto b = static_cast<double>(panel_width);
  return 2.0 * d * (d + 3.0 * b + 8.0) * (b + 1.0 + std::sqrt(d)) * 0x1p-53;
}

// Each tail errs by at most (1 + 2^-14) 2^-24 of itself, and |tail| <= 1: v turns by an angle whose sine is at most
// that over sqrt(2). ||H - H0|| is twice the sine, norms add up over the reflectors, and 1.5 > sqrt(2) (1 + 2^-14).
double haar_rounding(std::size_t dims) { return 1.5 * static_cast<double>(dims) * 0x1p-24; }

}  // namespace mpp::ranking

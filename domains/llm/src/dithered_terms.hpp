#pragma once
#include <algorithm>
#include <cmath>
#include <cstddef>

#include "mpp/core/control/bound.hpp"

namespace mpp::llm {

/// Constants of a read that may fail with probability delta: a quarter each for the radii of all logits, the sum of squared errors
/// of logits, the moved mean and the errors of values (docs/llm_dither.md, "What may fail"). Rounded up.
struct DitherTail {
  double radius = 0.0;  ///< |error of a logit| <= radius * sigma for all tokens: sqrt(2 ln(8 n / delta))
  double square = 0.0;  ///< x = ln(4 / delta)

  DitherTail(Delta delta, std::size_t tokens) noexcept
      : radius(std::sqrt(2.0 * std::log(8.0 * static_cast<double>(tokens) / delta.value)) * (1.0 + 0x1p-40)),
        square(std::log(4.0 / delta.value) * (1.0 + 0x1p-40)) {}

  /// Of a norm of a vector whose covariance has a trace of 1.
  double norm() const noexcept { return std::sqrt(1.0 + 2.0 * std::sqrt(square) + 2.0 * square); }
};

/// Upper limit of sum a_i g_i^2 over independent g with the moments of standard normal numbers, a_i >= 0:
/// sum a + 2 sqrt(x sum a^2) + 2x max a (Laurent and Massart 2000, Lemma 1).
class QuadraticForm {
 public:
  void add(double a) noexcept {
    sum_ += a;
    square_ += a * a;
    largest_ = std::max(largest_, a);
  }
  double sum() const noexcept { return sum_; }
  double limit(double x) const noexcept { return limit(x, sum_); }
  /// With a smaller limit of the sum that the caller knows.
  double limit(double x, double sum) const noexcept { return sum + 2.0 * std::sqrt(x * square_) + 2.0 * x * largest_; }

 private:
  double sum_ = 0.0, square_ = 0.0, largest_ = 0.0;
};

}  // namespace mpp::llm

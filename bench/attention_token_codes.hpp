#pragma once
// What others do: 8-bit symmetric codes of each token in groups of 32 channels, each with a 16-bit scale and the norm of its
// residual. Four bytes a token more than our keys at head_dim 64; the certificate is the e-form over radii of tokens.
#include <algorithm>
#include <cmath>

#include "attention_head.hpp"

namespace mpp::bench {

class TokenCodes {
 public:
  static constexpr std::size_t group_channels = 32;

  /// The first tokens of a head; the others stay exact.
  TokenCodes(const CodedHead& head, std::size_t tokens)
      : dims_(head.head_dim()), tokens_(tokens), errors_(dims_ * tokens), half_step_(groups() * tokens),
        residual_(groups() * tokens) {
    for (std::size_t i = 0; i < tokens_; ++i)
      for (std::size_t g = 0; g < groups(); ++g) {
        double largest = 0.0, square = 0.0;
        for (std::size_t j = g * group_channels; j < (g + 1) * group_channels; ++j)
          largest = std::max(largest, std::fabs(head.key(i, j, PageLevel::exact)));
        const double step = reference::half_value(kernels::half_above(std::max(largest / 127.0, 0x1p-24)));
        for (std::size_t j = g * group_channels; j < (g + 1) * group_channels; ++j) {
          const double key = head.key(i, j, PageLevel::exact), error = key - step * std::nearbyint(key / step);
          errors_[j * tokens_ + i] = error;
          square += error * error;
        }
        half_step_[g * tokens_ + i] = 0.5 * step;
        residual_[g * tokens_ + i] = std::sqrt(square);
      }
  }

  /// (A^2 - 1) / 2, A = sum p~ e^c over the tokens whose exact logits these are.
  [[nodiscard]] double e_form(std::span<const float> query, double scale, std::span<const double> logits) const {
    std::vector<double> error(tokens_), radius(tokens_);
    for (std::size_t g = 0; g < groups(); ++g) {
      double l1 = 0.0, square = 0.0;
      for (std::size_t j = g * group_channels; j < (g + 1) * group_channels; ++j) {
        const double q = scale * static_cast<double>(query[j]);
        l1 += std::fabs(q);
        square += q * q;
        for (std::size_t i = 0; i < tokens_; ++i) error[i] += q * errors_[j * tokens_ + i];
      }
      const double norm = std::sqrt(square);
      for (std::size_t i = 0; i < tokens_; ++i)
        radius[i] += std::min(l1 * half_step_[g * tokens_ + i], norm * residual_[g * tokens_ + i]);
    }
    const double most = *std::max_element(logits.begin(), logits.end());
    double sum = 0.0, excess = 0.0;
    for (std::size_t i = 0; i < logits.size(); ++i) {
      const double weight = std::exp(logits[i] - most - (i < tokens_ ? error[i] : 0.0));
      sum += weight;
      if (i < tokens_) excess += weight * std::expm1(radius[i]);
    }
    excess /= sum;
    return excess * (1.0 + 0.5 * excess);
  }

 private:
  [[nodiscard]] std::size_t groups() const { return dims_ / group_channels; }

  std::size_t dims_, tokens_;
  std::vector<double> errors_;                // [head_dim][tokens]
  std::vector<double> half_step_, residual_;  // [groups][tokens]
};

}  // namespace mpp::bench

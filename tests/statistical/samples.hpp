#pragma once
#include <algorithm>
#include <limits>
#include <vector>

#include "statistical/distributions.hpp"

namespace mpp::statistical {

/// Samples on which rounding and edge cases show: constants, subnormal losses, near ties of 0 and 1, and all
/// distributions of the suite, at sizes from 1 to 300.
inline std::vector<std::vector<double>> awkward_samples() {
  constexpr double tiny = std::numeric_limits<double>::denorm_min();
  std::vector<std::vector<double>> samples;
  Uniform uniform(11);
  for (const std::size_t n : {1U, 2U, 3U, 9U, 50U, 299U}) {
    for (const double constant : {0.0, 1.0, 0.5, 0.1, tiny, 0x1p-1022, 0x1p-60, 1.0 - 0x1p-53})
      samples.emplace_back(n, constant);
    for (const double first : {0.0, 1.0, tiny, 0x1p-64, 1.0 - 0x1p-53}) {
      samples.emplace_back(n, 0.0)[0] = first;
      samples.emplace_back(n, 1.0)[0] = first;
      samples.emplace_back(n, tiny)[n - 1] = first;
    }
    samples.emplace_back(n, tiny);  // a sum just above a whole number, where a ceiling jumps
    std::fill_n(samples.back().begin(), n / 10, 1.0);
    for (int repeat = 0; repeat < 3; ++repeat) {
      for (const double p : {0.01, 0.3, 0.99}) samples.push_back(draw(bernoulli(p), n, uniform));
      for (const Distribution& graded : graded_distributions()) {
        samples.push_back(draw(graded, n, uniform));
        samples.push_back(samples.back());
        for (double& loss : samples.back()) loss = 1.0 - loss;
      }
    }
  }
  return samples;
}

}  // namespace mpp::statistical

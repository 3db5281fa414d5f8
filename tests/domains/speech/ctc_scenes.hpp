#pragma once
#include <cmath>
#include <cstdint>
#include <limits>
#include <random>
#include <vector>

#include <mpp/speech/emissions.hpp>

namespace mpp::test {

/// Normalised emissions: `sharpness` 0 is flat, 6 is peaky; `impossible` is the share of -infinity.
inline speech::EmissionMatrix random_emissions(std::mt19937_64& random, std::size_t frames, std::size_t tokens,
                                               double sharpness, double impossible) {
  std::normal_distribution<double> normal(0.0, 1.0);
  std::uniform_real_distribution<double> uniform(0.0, 1.0);
  speech::EmissionMatrix m{std::vector<float>(frames * tokens), frames, tokens};
  for (std::size_t t = 0; t < frames; ++t) {
    const std::size_t possible = random() % tokens;
    for (std::size_t k = 0; k < tokens; ++k)
      m.log_probs[t * tokens + k] = k != possible && uniform(random) < impossible
                                        ? -std::numeric_limits<float>::infinity()
                                        : static_cast<float>(sharpness * normal(random));
  }
  return speech::log_softmax(m);
}

/// Normalised emissions whose probabilities are equal or powers of two apart: ties in the search, and near them.
inline speech::EmissionMatrix tied_emissions(std::mt19937_64& random, std::size_t frames, std::size_t tokens) {
  speech::EmissionMatrix m{std::vector<float>(frames * tokens), frames, tokens};
  for (std::size_t t = 0; t < frames; ++t) {
    const std::size_t possible = random() % tokens;
    for (std::size_t k = 0; k < tokens; ++k) {
      const std::size_t power = random() % 5;
      const bool absent = power == 4 && k != possible;
      m.log_probs[t * tokens + k] =
          absent ? -std::numeric_limits<float>::infinity() : -0.693147180559945F * static_cast<float>(power);
    }
  }
  return speech::log_softmax(m);
}

/// Each element is a probability.
inline speech::EmissionMatrix from_probabilities(std::vector<float> p, std::size_t tokens) {
  for (float& x : p) x = std::log(x);
  const std::size_t frames = p.size() / tokens;
  return {std::move(p), frames, tokens};
}

}  // namespace mpp::test

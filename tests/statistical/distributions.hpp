#pragma once
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <functional>
#include <random>
#include <string>
#include <vector>

namespace mpp::statistical {

/// Uniform on the multiples of 2^-53 in [0, 1): the same numbers with every standard library.
class Uniform {
 public:
  explicit Uniform(std::uint64_t seed) : bits_(seed) {}
  double operator()() { return static_cast<double>(bits_() >> 11) * 0x1p-53; }

 private:
  std::mt19937_64 bits_;
};

/// Losses in [0, 1] with a mean that is known: exactly where the parameters are dyadic, else to a few units in the last
/// place.
struct Distribution {
  std::string name;
  bool binary;
  double mean;
  std::function<double(Uniform&)> draw;
};

/// 1 with probability p, else 0. p is rounded to a multiple of 2^-53, so that the mean is exact.
inline Distribution bernoulli(double p) {
  const double exact = std::ceil(p * 0x1p53) * 0x1p-53;
  return {"Bernoulli", true, exact, [exact](Uniform& u) { return u() < exact ? 1.0 : 0.0; }};
}

/// The graded distributions of the suite. Each has a mean near the risks that are certified in practice, except ties.
inline std::vector<Distribution> graded_distributions() {
  constexpr double scale = 0.001;
  constexpr double tail = 1.1;
  // E min(X, 1) is the integral of P(X > t) over [0, 1].
  const double heavy_mean = scale + std::pow(scale, tail) * (std::pow(scale, 1.0 - tail) - 1.0) / (tail - 1.0);
  return {
      {"two points", false, 0.015625 + 0.03125 * 0.984375,
       [](Uniform& u) { return u() < 0.015625 ? 1.0 : 0.03125; }},  // rare total losses on a floor
      {"Beta(1, 99)", false, 0.01, [](Uniform& u) { return -std::expm1(std::log1p(-u()) / 99.0); }},
      {"Beta(1/99, 1)", false, 0.01, [](Uniform& u) { return std::pow(u(), 99.0); }},  // with subnormal losses
      {"clipped Pareto", false, heavy_mean,
       [](Uniform& u) { return std::min(1.0, scale * std::pow(1.0 - u(), -1.0 / tail)); }},
      {"ties", false, 0.25,
       [](Uniform& u) {
         const double x = u();
         return x < 0.5 ? 0.0 : x < 0.75 ? 0.25 : x < 0.875 ? 0.5 : 1.0;
       }},
  };
}

inline std::vector<double> draw(const Distribution& from, std::size_t n, Uniform& uniform) {
  std::vector<double> losses(n);
  for (double& loss : losses) loss = from.draw(uniform);
  return losses;
}

}  // namespace mpp::statistical

#pragma once
#include "kernels/kv_scene.hpp"

// Pages with residuals at will.
namespace mpp::kernels {

/// Residual of token i in channel j, in steps of a level: in [-1/2, 1/2), -1/2 for a number at the lower end of its cell.
using Residuals = std::function<double(std::size_t token, std::size_t channel)>;

/// Keys and values that are off by `residuals` at a level of codes, but for the 8 bits of a bfloat16. Every number is above
/// zero = 2^-24, in the first cell of the level, and the step is the smallest positive Half, also 2^-24. No code is the last one
/// of its channel, so no token needs to be at the upper end of a cell.
inline ExactPage page_of_residuals(std::size_t head_dim, PageLevel level, const Residuals& residuals) {
  const double step = std::ldexp(1.0, 8 - reference::bits_of(level));
  const Sampler sample = [=](std::mt19937_64&, std::size_t i, std::size_t j) {
    return std::ldexp(1.0 + step * (0.5 + residuals(i, j)), -24);
  };
  return exact_page(KvType::bfloat16, head_dim, 1, sample, sample);
}

/// Residuals that are hard for something that looks for the largest singular value.
struct ResidualPattern {
  const char* name;
  Residuals at;
};
inline std::vector<ResidualPattern> residual_patterns() {
  const auto random = [](std::size_t i, std::size_t j) {  // the same for the same token, whatever the order
    std::mt19937_64 engine(1 + 1000 * i + j);
    return std::uniform_real_distribution<double>(-0.5, 0.5)(engine);
  };
  const auto sign = [](std::size_t i) { return i % 2 == 0 ? 1.0 : -1.0; };
  const auto odd_bits = [](std::size_t i) {
    bool odd = false;
    for (; i > 0; i /= 2) odd ^= i % 2 == 1;
    return odd;
  };
  return {
      {"all the same", [](std::size_t, std::size_t) { return -0.5; }},
      {"none", [](std::size_t, std::size_t) { return 0.0; }},
      {"one token", [](std::size_t i, std::size_t) { return i == 17 ? -0.5 : 0.0; }},
      {"one number", [](std::size_t i, std::size_t j) { return i == 63 && j == 31 ? -0.5 : 0.0; }},
      {"alternating tokens", [=](std::size_t i, std::size_t) { return 0.375 * sign(i); }},
      // Tokens that cancel: a vector of ones is orthogonal to all channels, of many singular values.
      {"opposite halves", [=](std::size_t i, std::size_t j) { return 0.875 * sign(i / 32) * random(i % 32, j); }},
      {"orthogonal to the largest",
       [=](std::size_t i, std::size_t j) { return j % 2 == 0 ? 0.375 * sign(i) : 0.03125; }},
      {"two equal ones", [=](std::size_t i, std::size_t j) { return (i < 32) == (j % 2 == 0) ? -0.5 : 0.0; }},
      {"two that are nearly equal",
       [=](std::size_t i, std::size_t j) { return (i < 32) != (j % 2 == 0) ? 0.0
                                                  : i < 32                 ? -0.5
                                                                           : -0.4921875; }},
      {"all equal", [=](std::size_t i, std::size_t j) { return odd_bits(i & j) ? 0.375 : -0.375; }},
      {"a ladder",
       [](std::size_t i, std::size_t j) { return i % 32 == j ? -0.5 + static_cast<double>(i) / 128.0 : 0.0; }},
      {"random", random},
      {"one channel", [=](std::size_t i, std::size_t j) { return j == 5 ? random(i, j) : 0.0; }},
  };
}

/// Keys and values of which all but two tokens of a channel are next to the middle of a cell at 8 bits, off by `off`: zero is
/// -2^-24 and the step twice that, so that 0 is a middle.
inline ExactPage page_next_to_the_middle(std::size_t head_dim, double off) {
  const Sampler sample = [=](std::mt19937_64&, std::size_t i, std::size_t) {
    return i == 0 ? -0x1p-24 : i == 1 ? 300.0 * 0x1p-24 : i % 2 == 0 ? off : -off;
  };
  return exact_page(KvType::bfloat16, head_dim, 1, sample, sample);
}

}  // namespace mpp::kernels

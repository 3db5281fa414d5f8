#pragma once
#include <bit>
#include <cmath>
#include <cstdint>
#include <span>

namespace mpp::ranking {

/// The `index`-th word of the generator with this seed: SplitMix64 (Steele, Lea, Flood 2014) read as a counter.
constexpr std::uint64_t random_word(std::uint64_t seed, std::uint64_t index) noexcept {
  std::uint64_t z = seed + (index + 1) * 0x9e3779b97f4a7c15u;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
  return z ^ (z >> 31);
}

/// Uniform in [0, 1), 53 bits.
constexpr double uniform(std::uint64_t word) noexcept { return static_cast<double>(word >> 11) * 0x1p-53; }

/// Natural logarithm of x, positive and normal, within 1e-12: ln(2^e m) = e ln 2 + 2 atanh((m - 1) / (m + 1)),
/// |argument| < 0.172.
constexpr double natural_log(double x) noexcept {
  // Shift by sqrt(1/2), so that the exponent field splits x at m in [sqrt(1/2), sqrt(2)).
  constexpr std::uint64_t sqrt_half = 0x3fe6a09e667f3bcdu;
  const std::uint64_t shifted = std::bit_cast<std::uint64_t>(x) - sqrt_half;
  const std::int64_t exponent = static_cast<std::int64_t>(shifted) >> 52;
  const double m = std::bit_cast<double>((shifted & 0xfffffffffffffu) + sqrt_half);
  const double t = (m - 1) / (m + 1);
  const double s = t * t;
  const double series = 1 + s * (1.0 / 3 + s * (1.0 / 5 + s * (1.0 / 7 + s * (1.0 / 9 + s * (1.0 / 11 + s / 13)))));
  return static_cast<double>(exponent) * 0.693147180559945309 + 2 * t * series;
}

/// Fills `out` with independent N(0, 1) values, the same bits everywhere; `seed` names the sequence.
///
/// Box and Muller 1958, one random word per pair: 32 bits for the radius (so no value is beyond 6.76), 30 for the angle
/// in [-pi/4, pi/4), two for the quarter turn. The Taylor series are within 1e-11 there, far below a float's rounding
/// unit.
inline void fill_normal(std::uint64_t seed, std::span<float> out) noexcept {
  constexpr double quarter_pi = 0.785398163397448310;
  for (std::size_t i = 0; i < out.size(); i += 2) {
    const std::uint64_t word = random_word(seed, i / 2);
    const double u = (static_cast<double>(word >> 32) + 0.5) * 0x1p-32;
    const double angle = (static_cast<double>((word >> 2) & 0x3fffffffu) * 0x1p-29 - 1) * quarter_pi;
    const double a2 = angle * angle;
    const double sine =
        angle * (1 + a2 * (-1.0 / 6 + a2 * (1.0 / 120 + a2 * (-1.0 / 5040 + a2 * (1.0 / 362880 - a2 / 39916800)))));
    const double cosine =
        1 + a2 * (-1.0 / 2 +
                  a2 * (1.0 / 24 + a2 * (-1.0 / 720 + a2 * (1.0 / 40320 + a2 * (-1.0 / 3628800 + a2 / 479001600)))));
    const double magnitude = std::sqrt(-2 * natural_log(u));
    const double radius = (word & 2) != 0 ? -magnitude : magnitude;
    const bool swap = (word & 1) != 0;
    out[i] = static_cast<float>(radius * (swap ? sine : cosine));
    if (i + 1 < out.size()) out[i + 1] = static_cast<float>(radius * (swap ? cosine : sine));
  }
}

}  // namespace mpp::ranking

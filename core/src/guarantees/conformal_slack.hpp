#pragma once
#include <cmath>
#include <cstdint>

#include <mpp/core/guarantees/limits.hpp>

namespace mpp::guarantees {

/// floor((n + 1) risk), in integers: the risk is mantissa / 2^shift, and a product of 33 and 53 bits takes two words. So many of
/// n + 1 requests may have a score above kappa; in floating point 0.1 * 10 or 0.7 * 10 can land on either side.
/// n <= most_samples, risk in (0, 1).
inline std::uint64_t conformal_slack(std::uint64_t n, double risk) {
  int exponent = 0;
  const auto mantissa = static_cast<std::uint64_t>(std::ldexp(std::frexp(risk, &exponent), 53));
  const int shift = 53 - exponent;  // at least 53, as risk < 1
  const std::uint64_t high = (n + 1) * (mantissa >> 32);
  const std::uint64_t low = (n + 1) * (mantissa & 0xffffffffU);  // at most (2^32 + 1)(2^32 - 1) = 2^64 - 1
  const std::uint64_t upper = high + (low >> 32);                // the product's bits from 2^32 on
  return shift - 32 < 64 ? upper >> (shift - 32) : 0;
}

}  // namespace mpp::guarantees

#pragma once
#include <bit>
#include <cmath>
#include <cstdint>

namespace mpp::guarantees {

// Non-negative doubles are ordered as their bit patterns.
inline std::int64_t bits(double x) { return std::bit_cast<std::int64_t>(x); }
inline double from_bits(std::int64_t x) { return std::bit_cast<double>(x); }

/// Moves `good` towards `bad` until they are neighbouring doubles, and returns it: the outer end of the bracket, for which
/// `holds` was seen to be true (or was known to be beforehand). 0 <= good, bad.
template <class Predicate>
double outer_end(double good, double bad, const Predicate& holds) {
  while (std::abs(bits(good) - bits(bad)) > 1) {
    const double middle = from_bits(bits(bad) + (bits(good) - bits(bad)) / 2);
    (holds(middle) ? good : bad) = middle;
  }
  return good;
}

/// a - b for a, b >= 0, never above the truth.
inline double difference_down(double a, double b) {
  const double difference = a - b;
  const double b_part = a - difference;
  const double error = (a - (difference + b_part)) + (b_part - b);  // Knuth, TAOCP 2, 4.2.2, Theorem B
  return error < 0.0 ? std::nextafter(difference, -2.0) : difference;
}

}  // namespace mpp::guarantees

#pragma once
#include <bit>
#include <cmath>
#include <cstdint>

namespace mpp::guarantees {

// Non-negative doubles are ordered as their bit patterns.
inline std::int64_t bits(double x) { return std::bit_cast<std::int64_t>(x); }
inline double from_bits(std::int64_t x) { return std::bit_cast<double>(x); }

/// Moves `good` towards `bad` until they are neighbouring doubles, and returns it: the outer end of the bracket, for
/// which `holds` was seen to be true (or was known to be beforehand). 0 <= good, bad.
template <class Predicate>
double outer_end(double good, double bad, const Predicate& holds) {
  while (std::abs(bits(good) - bits(bad)) > 1) {
    const double middle = from_bits(bits(bad) + (bits(good) - bits(bad)) / 2);
    (holds(middle) ? good : bad) = middle;
  }
  return good;
}

/// The same, for a root that lies a few units in the last place from x, good <= x <= bad or the other way round:
/// encloses it by doubling steps first. Correct for any x, only slower.
template <class Predicate>
double outer_end_near(double x, double good, double bad, const Predicate& holds) {
  double& near = holds(x) ? good : bad;
  double& far = &near == &good ? bad : good;
  near = x;
  for (std::int64_t step = 1;; step *= 2) {
    const std::int64_t room = bits(far) - bits(near);
    if (std::abs(room) <= step) break;
    const double next = from_bits(bits(near) + (room > 0 ? step : -step));
    if (holds(next) != (&near == &good)) {
      far = next;
      break;
    }
    near = next;
  }
  return outer_end(good, bad, holds);
}

/// a - b for a, b >= 0, never above the truth.
inline double difference_down(double a, double b) {
  const double difference = a - b;
  const double b_part = a - difference;
  const double error = (a - (difference + b_part)) + (b_part - b);  // Knuth, TAOCP 2, 4.2.2, Theorem B
  return error < 0.0 ? std::nextafter(difference, -2.0) : difference;
}

}  // namespace mpp::guarantees

#pragma once
#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <string_view>

namespace mpp {

/// Error a caller accepts, in the unit of the workload's metric. >= 0.
struct Epsilon {
  double value{};
};
/// Probability that a statement fails. In [0, 1). Not interchangeable with Epsilon.
struct Delta {
  double value{};

  /// Union bound: probability that one of two statements fails, whatever their dependence. Rounded up and at most 1;
  /// NaN becomes 1, so that what is not known to hold counts as failed.
  friend Delta operator+(Delta a, Delta b) noexcept {
    double sum = a.value + b.value;
    const double b_part = sum - a.value;
    const double lost = (a.value - (sum - b_part)) + (b.value - b_part);  // exact: Knuth, TAOCP 2, 4.2.2, Theorem B
    if (lost > 0.0) sum = std::nextafter(sum, 2.0);
    return {std::min(1.0, sum)};  // min keeps its first argument when the second is NaN
  }
};

/// What kind of promise a bound is. The three are never silently mixed.
enum class BoundKind : std::uint8_t {
  deterministic,  ///< holds for this request, for any input; delta = 0
  randomized,     ///< probability over the algorithm's own coins; delta is summed over every level looked at
  calibrated,     ///< probability over the request population; covers the whole policy and is charged once
};

constexpr std::string_view name(BoundKind kind) noexcept {
  constexpr std::array<std::string_view, 3> names{"deterministic", "randomized", "calibrated"};
  return names[static_cast<std::size_t>(kind)];
}

/// Upper bound on the error of a result against the exact level of the same engine.
///
/// `value` has the unit of Epsilon and is rounded up; NaN means "no bound" and never certifies.
/// Construct through the named functions, so that the kind and its delta always agree.
class ErrorBound {
 public:
  constexpr ErrorBound() noexcept = default;  ///< no bound

  static constexpr ErrorBound none() noexcept { return {}; }
  static constexpr ErrorBound exact() noexcept { return deterministic(0.0); }
  static constexpr ErrorBound deterministic(double value) noexcept {
    return {value, Delta{0.0}, BoundKind::deterministic};
  }
  static constexpr ErrorBound randomized(double value, Delta delta) noexcept {
    return {value, delta, BoundKind::randomized};
  }
  static constexpr ErrorBound calibrated(double value, Delta delta) noexcept {
    return {value, delta, BoundKind::calibrated};
  }

  constexpr double value() const noexcept { return value_; }  ///< NaN: no bound; infinity: a true one that says nothing
  constexpr Delta delta() const noexcept { return delta_; }   ///< probability that value() is not a bound
  constexpr BoundKind kind() const noexcept { return kind_; }

  /// A negative value is a bug in an estimator, not a good bound: it does not certify either.
  constexpr bool within(Epsilon e) const noexcept { return value_ >= 0.0 && value_ <= e.value; }

 private:
  constexpr ErrorBound(double value, Delta delta, BoundKind kind) noexcept
      : value_(value), delta_(delta), kind_(kind) {}

  double value_ = std::numeric_limits<double>::quiet_NaN();
  Delta delta_{0.0};
  BoundKind kind_ = BoundKind::deterministic;
};

/// A number that may order levels or predict cost. It is not a bound and never converts to one.
struct HeuristicScore {
  double value{};
  operator ErrorBound() const = delete;  // a heuristic releases nothing
  operator double() const = delete;      // not even by way of a number
};

}  // namespace mpp

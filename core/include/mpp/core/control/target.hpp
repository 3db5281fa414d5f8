#pragma once
#include <mpp/core/control/bound.hpp>
#include <mpp/core/error.hpp>

namespace mpp {

/// What a caller asks for: error at most epsilon, except with probability delta.
/// The default asks for the exact level, or for a lower one that is proven to give the same result.
struct QualityTarget {
  Epsilon epsilon{0.0};
  Delta delta{0.0};

  /// @throws ValueError if epsilon is NaN or negative, or delta is outside [0, 1). Infinite epsilon is allowed:
  ///         it asks for the cheapest level whose estimator returns a bound at all.
  void validate() const {
    expects<ValueError>(epsilon.value >= 0.0, "QualityTarget: epsilon is ", epsilon.value, ", expected >= 0");
    expects<ValueError>(delta.value >= 0.0 && delta.value < 1.0, "QualityTarget: delta is ", delta.value,
                        ", expected in [0, 1)");
  }
};

}  // namespace mpp

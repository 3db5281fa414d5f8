#pragma once
#include <functional>
#include <span>
#include <string>

#include <mpp/core/control/bound.hpp>
#include <mpp/core/error.hpp>

#include "statistical/formula.hpp"
#include "statistical/samples.hpp"

/// Is a computed limit on the safe side of its own formula, evaluated in 60 digits, and not far from it?
namespace mpp::statistical {

enum class Formula { hoeffding_bentkus, empirical_bernstein, betting };
using UpperLimit = std::function<double(std::span<const double>, Delta)>;

struct Rounding {
  std::size_t inside = 0;  ///< limits below what the formula allows
  std::size_t loose = 0;   ///< limits further out than `slack`
  std::string first;       ///< of either
};

/// Whether the formula certifies that the mean is at most x.
inline bool allows(Formula formula, std::span<const double> losses, double beta, const reference::Wide& x) {
  if (x >= 1) return true;
  if (x < 0) return false;
  switch (formula) {
    case Formula::hoeffding_bentkus:
      return reference::hoeffding_bentkus(losses, x) <= beta;
    case Formula::betting:
      return reference::betting_wealth(losses, beta, x, true) * beta >= 1;
    case Formula::empirical_bernstein:
      return losses.size() > 1 && x >= reference::exact_mean(losses) + reference::bernstein_radius(losses, beta);
  }
  return false;
}

inline Rounding rounding(Formula formula, const UpperLimit& limit, double slack = 1e-11, bool until_inside = false) {
  Rounding found;
  for (const auto& losses : awkward_samples())
    for (const double beta : {0.1, 0.01, 1e-6}) {
      const double x = limit(losses, Delta{beta});
      const bool inside = !allows(formula, losses, beta, x);
      const bool loose = x > slack && allows(formula, losses, beta, reference::Wide(x) - slack);
      found.inside += inside;
      found.loose += loose;
      if ((inside || loose) && found.first.empty())
        found.first = text(inside ? "inside" : "loose", ": n = ", losses.size(), ", first loss ", losses.front(),
                           ", last loss ", losses.back(), ", beta ", beta, ", limit ", x);
      if (inside && until_inside) return found;
    }
  return found;
}

}  // namespace mpp::statistical

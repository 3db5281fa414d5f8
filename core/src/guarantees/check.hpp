#pragma once
#include <cfenv>
#include <span>
#include <string_view>

#include <mpp/core/error.hpp>
#include <mpp/core/guarantees/limits.hpp>

namespace mpp::guarantees {

// Error-free transformations and rounding outward hold for rounding to nearest only.
inline void check_rounding(std::string_view function) {
  expects<BackendUnavailable>(std::fegetround() == FE_TONEAREST, function,
                              ": this thread does not round to nearest, so no limit computed here would hold");
}
inline void check_beta(std::string_view function, Delta beta) {
  expects<ValueError>(beta.value > 0.0 && beta.value < 1.0, function, ": beta is ", beta.value, ", expected in (0, 1)");
  check_rounding(function);
}
inline void check_risk(std::string_view function, double risk) {
  expects<ValueError>(risk >= 0.0 && risk <= 1.0, function, ": risk is ", risk, ", expected in [0, 1]");
}
inline void check_size(std::string_view function, std::uint64_t n) {
  expects<ValueError>(n >= 1 && n <= most_samples, function, ": n is ", n, ", expected 1 to ", most_samples);
}
inline void check_count(std::string_view function, Count count) {
  check_size(function, count.n);
  expects<ValueError>(count.violations <= count.n, function, ": violations is ", count.violations,
                      ", expected at most n = ", count.n);
}
inline void check_losses(std::string_view function, std::span<const double> losses) {
  check_size(function, losses.size());
  for (std::size_t i = 0; i < losses.size(); ++i)
    expects<ValueError>(losses[i] >= 0.0 && losses[i] <= 1.0, function, ": losses[", i, "] is ", losses[i],
                        ", expected in [0, 1]");
}

}  // namespace mpp::guarantees

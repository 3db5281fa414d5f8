#include <algorithm>

#include <mpp/core/guarantees/limits.hpp>
#include <mpp/core/guarantees/sample_size.hpp>

#include "src/guarantees/check.hpp"

namespace mpp::guarantees {

std::uint64_t minimum_samples(Delta risk, Delta beta, std::uint64_t violations) {
  expects<ValueError>(risk.value > 0.0 && risk.value < 1.0, "minimum_samples: risk is ", risk.value,
                      ", expected in (0, 1)");
  check_beta("minimum_samples", beta);
  expects<ValueError>(violations < most_samples, "minimum_samples: violations is ", violations, ", expected below ",
                      most_samples);
  // P(Bin(n, risk) <= violations) falls with n, so the sizes that suffice are all those from some size on.
  const auto suffices = [&](std::uint64_t n) { return binomial_p({violations, n}, risk.value) <= beta.value; };
  std::uint64_t least = violations + 1;
  std::uint64_t enough = least;
  while (!suffices(enough)) {
    expects<ValueError>(enough < most_samples, "minimum_samples: risk ", risk.value, " at beta ", beta.value, " with ",
                        violations, " violations needs more than ", most_samples, " samples");
    least = enough + 1;
    enough = std::min(2 * enough, most_samples);
  }
  while (least < enough) {
    const std::uint64_t middle = least + (enough - least) / 2;
    suffices(middle) ? enough = middle : least = middle + 1;
  }
  return least;
}

double minimum_escalation_rate(double base_rate, Delta risk) {
  expects<ValueError>(base_rate >= 0.0 && base_rate <= 1.0, "minimum_escalation_rate: base_rate is ", base_rate,
                      ", expected in [0, 1]");
  expects<ValueError>(risk.value >= 0.0 && risk.value < 1.0, "minimum_escalation_rate: risk is ", risk.value,
                      ", expected in [0, 1)");
  return std::max(0.0, (base_rate - risk.value) / (1.0 - risk.value));
}

}  // namespace mpp::guarantees

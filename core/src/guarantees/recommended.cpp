#include <cmath>

#include <mpp/core/guarantees/limits.hpp>

#include "src/guarantees/check.hpp"

namespace mpp::guarantees {
namespace {

Count count_violations(std::string_view function, std::span<const double> losses) {
  check_losses(function, losses);
  Count count{0, losses.size()};
  for (std::size_t i = 0; i < losses.size(); ++i) {
    expects<ValueError>(losses[i] == 0.0 || losses[i] == 1.0, function, ": losses[", i, "] is ", losses[i],
                        ", expected 0 or 1 because the kind is binary");
    count.violations += losses[i] == 1.0 ? 1 : 0;
  }
  return count;
}

}  // namespace

double recommended_upper(std::span<const double> losses, LossKind kind, Delta beta) {
  return kind == LossKind::binary ? clopper_pearson_upper(count_violations("recommended_upper", losses), beta)
                                  : betting_upper(losses, beta);
}

double recommended_lower(std::span<const double> losses, LossKind kind, Delta beta) {
  return kind == LossKind::binary ? clopper_pearson_lower(count_violations("recommended_lower", losses), beta)
                                  : betting_lower(losses, beta);
}

}  // namespace mpp::guarantees

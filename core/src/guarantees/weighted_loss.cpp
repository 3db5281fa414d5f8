#include <mpp/core/guarantees/weighted_loss.hpp>

#include "src/guarantees/audit_rounding.hpp"

namespace mpp::guarantees {
namespace {

void check_least(const char* operation, double least) {
  expects<ValueError>(least > 0.0 && least <= 1.0, operation, ": the least probability is ", least,
                      ", expected in (0, 1]");
}

}  // namespace

// Where loss * least is too small for a normal number it may be rounded up, by 2^-1074: weighted_allowed() is raised by
// 2^-51 of at least 1e-12.
double weighted_loss(double loss, double probability, double least) {
  check_loss("weighted_loss", loss);
  check_least("weighted_loss", least);
  expects<ValueError>(probability >= least && probability <= 1.0, "weighted_loss: the probability is ", probability,
                      ", expected in [", least, ", 1]");
  return below(loss * least / probability, 2.0);
}

Delta weighted_allowed(Delta allowed, double least) {
  check_allowed("weighted_allowed", allowed);
  check_least("weighted_allowed", least);
  const Delta weighted{above(allowed.value * least, 2.0)};
  check_allowed("weighted_allowed, times the least probability", weighted);
  return weighted;
}

}  // namespace mpp::guarantees

#include <mpp/core/guarantees/alternatives.hpp>

#include <mpp/core/error.hpp>

namespace mpp::guarantees {

void check_allowed(const char* operation, Delta allowed) {
  expects<ValueError>(allowed.value >= min_allowed_rate && allowed.value < 1.0, operation, ": the allowed rate is ",
                      allowed.value, ", expected in [", min_allowed_rate, ", 1)");
}

void check_loss(const char* operation, double loss) {
  expects<ValueError>(loss >= 0.0 && loss <= 1.0, operation, ": the loss is ", loss, ", expected in [0, 1]");
}

}  // namespace mpp::guarantees

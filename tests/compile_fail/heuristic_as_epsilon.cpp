// What a caller accepts is the caller's word, not a score.
// expect: deleted function
#include <mpp/core/control/target.hpp>

mpp::QualityTarget target(mpp::HeuristicScore score, double accepted) {
#ifdef MPP_BROKEN
  (void)accepted;
  return {.epsilon = {score}};
#else
  (void)score;
  return {.epsilon = {accepted}};
#endif
}

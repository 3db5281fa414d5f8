// A heuristic does not become a bound by way of a number either.
// expect: deleted function
#include <mpp/core/control/bound.hpp>

mpp::ErrorBound bound(mpp::HeuristicScore score, double proven) {
#ifdef MPP_BROKEN
  (void)proven;
  return mpp::ErrorBound::deterministic(score);
#else
  (void)score;
  return mpp::ErrorBound::deterministic(proven);
#endif
}

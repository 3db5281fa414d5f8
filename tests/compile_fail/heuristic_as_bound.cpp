// A heuristic releases nothing: it never becomes a bound.
// expect: deleted function
#include <mpp/core/control/bound.hpp>

#ifdef MPP_BROKEN
mpp::ErrorBound bound(mpp::HeuristicScore score) { return score; }
#else
mpp::ErrorBound bound(mpp::HeuristicScore) { return mpp::ErrorBound::none(); }
#endif

// An estimator bounds the results of the tier it was written for and of no other.
// expect: EstimatorFor
#include <mpp/core/control/controller.hpp>

struct OtherEstimator {
  mpp::ErrorBound bound(const int& request, const int& state, const int& result, mpp::Level, mpp::Delta) const;
};
#ifdef MPP_BROKEN
using Estimator = OtherEstimator;
#else
using Estimator = mpp::ArchetypeEstimator;
#endif
using Controller = mpp::Controller<mpp::ArchetypeTier, Estimator>;
static_assert(sizeof(Controller) > 0);

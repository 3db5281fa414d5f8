// What bound() returns is a bound: an estimator that returns its score is none.
// expect: EstimatorFor
#include <mpp/core/control/controller.hpp>

struct Scoring {
#ifdef MPP_BROKEN
  using Promise = mpp::HeuristicScore;
#else
  using Promise = mpp::ErrorBound;
#endif
  Promise bound(const mpp::ArchetypeTier::Request&, const mpp::ArchetypeTier::State&, const mpp::Level&, mpp::Level,
                mpp::Delta) const {
    return {};
  }
};
using Controller = mpp::Controller<mpp::ArchetypeTier, Scoring>;
static_assert(sizeof(Controller) > 0);

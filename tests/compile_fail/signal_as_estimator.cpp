// A signal alone releases nothing: it needs a calibration record.
// expect: EstimatorFor
#include <mpp/core/control/controller.hpp>
#include <mpp/core/guarantees/calibrated_estimator.hpp>

using mpp::guarantees::ArchetypeSignal;
#ifdef MPP_BROKEN
using Estimator = ArchetypeSignal;
#else
using Estimator = mpp::guarantees::CalibratedEstimator<mpp::ArchetypeTier, ArchetypeSignal>;
#endif
using Controller = mpp::Controller<mpp::ArchetypeTier, Estimator>;
static_assert(sizeof(Controller) > 0);

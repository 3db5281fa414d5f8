// A controller borrows its tier: a temporary would be gone before the first request.
// expect: use of deleted function|call to (implicitly-)?deleted
#include <mpp/core/control/controller.hpp>

mpp::Level run(const mpp::ArchetypeTier& tier, const mpp::ArchetypeEstimator& estimator, mpp::Account account) {
#ifdef MPP_BROKEN
  (void)tier;
  const mpp::Controller controller(mpp::ArchetypeTier{}, estimator, account);
#else
  const mpp::Controller controller(tier, estimator, account);
#endif
  return controller.serve(mpp::ArchetypeTier::Request{}).level;
}

// A session borrows its request; serve() may take a temporary, start() may not.
// expect: use of deleted function|call to (implicitly-)?deleted
#include <mpp/core/control/controller.hpp>

using Controller = mpp::Controller<mpp::ArchetypeTier, mpp::ArchetypeEstimator>;

bool run(const Controller& controller, const mpp::ArchetypeTier::Request& request) {
#ifdef MPP_BROKEN
  auto session = controller.start(mpp::ArchetypeTier::Request{});
#else
  auto session = controller.start(request);
#endif
  (void)request;
  return session.advance();
}

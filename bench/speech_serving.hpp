#pragma once
// How the speech benchmarks serve a request: to a proof where one is within reach.
#include <mpp/core/control/controller.hpp>
#include <mpp/speech/ctc_exact.hpp>

namespace mpp::bench {

/// Serves at epsilon = 0. Where the exact level is out of reach, the answer of the level before, with its gap.
template <class T, class E>
Outcome<typename T::Result> serve_to_proof(const Controller<T, E>& controller, const typename T::Request& request) {
  auto session = controller.start(request);
  try {
    while (!session.done() && session.advance()) {
    }
  } catch (const speech::SearchTooLong&) {  // the session keeps what it had
  }
  return session.take();
}

}  // namespace mpp::bench

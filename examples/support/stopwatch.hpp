#pragma once
#include <chrono>

namespace mpp::examples {

/// Seconds that a call takes.
template <class Call>
double seconds(const Call& call) {
  const auto start = std::chrono::steady_clock::now();
  call();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

}  // namespace mpp::examples

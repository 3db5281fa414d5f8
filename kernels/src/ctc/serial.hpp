#pragma once
#include <algorithm>
#include <cstdint>

namespace mpp::kernels::ctc {

/// A group of one.
struct Serial {
  template <class F>
  void each(std::uint32_t n, F f) {
    for (std::uint32_t i = 0; i < n; ++i) f(i);
  }
  template <class F>
  std::uint64_t total(std::uint32_t n, F f) {
    std::uint64_t sum = 0;
    for (std::uint32_t i = 0; i < n; ++i) sum += f(i);
    return sum;
  }
  static std::uint32_t claim(std::uint32_t& counter) { return counter++; }
  static void raise(std::uint32_t& value, std::uint32_t to) { value = std::max(value, to); }
};

}  // namespace mpp::kernels::ctc

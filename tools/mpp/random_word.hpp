#pragma once
#include <cstdint>
#include <random>

namespace mpp::tools {

/// 64 bits that nobody can foresee.
inline std::uint64_t random_word() {
  std::random_device device;
  return std::uint64_t{device()} << 32 | device();
}

}  // namespace mpp::tools

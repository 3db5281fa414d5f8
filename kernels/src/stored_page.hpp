#pragma once
#include <bit>
#include <cstddef>
#include <cstdint>

#include <mpp/core/error.hpp>
#include <mpp/kernels/kv_page.hpp>

// What all kernels that take pages of a KV cache share.
namespace mpp::kernels {

/// A stored key or value. On the host: device code has the same by its intrinsics.
inline float stored_number(KvType type, std::uint16_t bits) noexcept {
  return type == KvType::float16 ? to_float(Half{bits}) : std::bit_cast<float>(static_cast<std::uint32_t>(bits) << 16);
}

/// Whether one of them is there.
template <std::size_t n>
constexpr bool any_plane(std::uint32_t* const (&of)[n]) noexcept {
  for (const std::uint32_t* plane : of)
    if (plane != nullptr) return true;
  return false;
}

/// @throws ShapeError
inline void check_head_dim(const char* operation, std::size_t head_dim) {
  expects<ShapeError>(head_dim > 0 && head_dim % 32 == 0 && head_dim <= max_head_dim, operation, ": head_dim is ",
                      head_dim, ", expected a multiple of 32, at most ", max_head_dim);
}

}  // namespace mpp::kernels

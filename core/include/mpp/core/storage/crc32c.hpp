#pragma once
#include <cstddef>
#include <cstdint>
#include <span>

namespace mpp {

/// CRC-32C (Castagnoli, reflected polynomial 0x82F63B78) of `bytes`, as in RFC 3720. Finds every change within 32
/// neighbouring bits; any other damage with probability 1 - 2^-32. No protection against intent.
///
/// @param before  the checksum of what comes before, so that crc32c(b, crc32c(a)) is that of a followed by b
[[nodiscard]] std::uint32_t crc32c(std::span<const std::byte> bytes, std::uint32_t before = 0) noexcept;

}  // namespace mpp

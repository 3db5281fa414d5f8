#include <mpp/core/storage/crc32c.hpp>

#include <array>
#include <bit>
#include <cstring>

namespace mpp {
namespace {

constexpr std::size_t stride = 8;
using Table = std::array<std::array<std::uint32_t, 256>, stride>;

// table[0][b] is the checksum of byte b; table[k][b] that of b followed by k zeros. Eight bytes are then eight
// independent look-ups ("slicing by 8", Kounavis and Berry 2005).
constexpr Table table = [] {
  Table t{};
  for (std::uint32_t b = 0; b < 256; ++b) {
    std::uint32_t crc = b;
    for (int bit = 0; bit < 8; ++bit) crc = (crc >> 1) ^ ((crc & 1) != 0 ? 0x82F63B78U : 0U);
    t[0][b] = crc;
  }
  for (std::size_t k = 1; k < stride; ++k)
    for (std::size_t b = 0; b < 256; ++b) t[k][b] = (t[k - 1][b] >> 8) ^ t[0][t[k - 1][b] & 0xFF];
  return t;
}();

static_assert(std::endian::native == std::endian::little, "eight bytes are read as one little-endian number");

}  // namespace

std::uint32_t crc32c(std::span<const std::byte> bytes, std::uint32_t before) noexcept {
  std::uint32_t crc = ~before;
  for (; bytes.size() >= stride; bytes = bytes.subspan(stride)) {
    std::uint64_t word = 0;
    std::memcpy(&word, bytes.data(), stride);
    word ^= crc;
    crc = 0;
    for (std::size_t i = 0; i < stride; ++i) crc ^= table[stride - 1 - i][(word >> (8 * i)) & 0xFF];
  }
  for (const std::byte b : bytes) crc = (crc >> 8) ^ table[0][(crc ^ std::to_integer<std::uint32_t>(b)) & 0xFF];
  return ~crc;
}

}  // namespace mpp

#include <mpp/core/guarantees/sampling_coin.hpp>

#include <bit>
#include <cmath>

#include <mpp/core/error.hpp>

namespace mpp::guarantees {
namespace {

struct SipState {
  std::uint64_t v0, v1, v2, v3;

  void rounds(int count) noexcept {
    for (; count > 0; --count) {
      v0 += v1;
      v2 += v3;
      v1 = std::rotl(v1, 13) ^ v0;
      v3 = std::rotl(v3, 16) ^ v2;
      v0 = std::rotl(v0, 32) + v3;
      v2 += v1;
      v1 = std::rotl(v1, 17) ^ v2;
      v3 = std::rotl(v3, 21) ^ v0;
      v2 = std::rotl(v2, 32);
    }
  }
  void take(std::uint64_t word) noexcept {
    v3 ^= word;
    rounds(2);
    v0 ^= word;
  }
};

std::uint64_t little_endian(std::span<const std::byte> bytes) noexcept {
  std::uint64_t word = 0;
  for (std::size_t i = 0; i < bytes.size(); ++i) word |= std::to_integer<std::uint64_t>(bytes[i]) << (8 * i);
  return word;
}

}  // namespace

std::uint64_t siphash(Seed seed, std::span<const std::byte> bytes) noexcept {
  SipState state{seed[0] ^ 0x736F6D6570736575, seed[1] ^ 0x646F72616E646F6D, seed[0] ^ 0x6C7967656E657261,
                 seed[1] ^ 0x7465646279746573};
  const std::uint64_t length = static_cast<std::uint64_t>(bytes.size()) << 56;
  for (; bytes.size() >= 8; bytes = bytes.subspan(8)) state.take(little_endian(bytes.first(8)));
  state.take(length | little_endian(bytes));
  state.v2 ^= 0xFF;
  state.rounds(4);
  return state.v0 ^ state.v1 ^ state.v2 ^ state.v3;
}

SamplingCoin::SamplingCoin(double rate, Seed seed) : probability_(std::ceil(rate * 0x1p53) * 0x1p-53), seed_(seed) {
  expects<ValueError>(rate > 0.0 && rate <= 1.0, "SamplingCoin: the rate is ", rate, ", expected in (0, 1]");
}

bool SamplingCoin::heads(std::uint64_t stream, std::uint64_t request) const noexcept {
  std::array<std::byte, 16> message;
  for (std::size_t i = 0; i < 8; ++i) {
    message[i] = static_cast<std::byte>(stream >> (8 * i));
    message[8 + i] = static_cast<std::byte>(request >> (8 * i));
  }
  return static_cast<double>(siphash(seed_, message) >> 11) * 0x1p-53 < probability_;
}

}  // namespace mpp::guarantees

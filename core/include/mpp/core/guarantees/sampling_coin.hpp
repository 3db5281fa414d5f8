#pragma once
#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

namespace mpp::guarantees {

/// 128 random bits that nobody who sends requests may know.
using Seed = std::array<std::uint64_t, 2>;

/// SipHash-2-4 (Aumasson and Bernstein 2012): a keyed pseudo-random function of any bytes. Same value on every machine.
[[nodiscard]] std::uint64_t siphash(Seed seed, std::span<const std::byte> bytes) noexcept;

/// Which requests are audited: a coin per request that is known before the request runs and can depend on nothing but
/// the request's number. The same request gets the same coin again, so a retry cannot hope for another one.
///
/// To someone without the seed, coins are independent and each is heads with probability().
class SamplingCoin {
 public:
  /// @param rate  in (0, 1]; 1 audits everything
  /// @throws ValueError otherwise
  SamplingCoin(double rate, Seed seed);

  /// Of heads, exactly: the rate, raised to a multiple of 2^-53.
  [[nodiscard]] double probability() const noexcept { return probability_; }

  /// @param stream   tells apart coins of different purpose
  /// @param request  a number that this request alone has within the stream
  [[nodiscard]] bool heads(std::uint64_t stream, std::uint64_t request) const noexcept;

 private:
  double probability_;
  Seed seed_;
};

}  // namespace mpp::guarantees

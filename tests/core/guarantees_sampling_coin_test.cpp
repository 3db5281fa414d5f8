#include <mpp/core/guarantees/sampling_coin.hpp>

#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <limits>
#include <random>
#include <vector>

#include <mpp/core/error.hpp>

namespace mpp::guarantees {
namespace {

constexpr Seed seed{0x0706050403020100, 0x0F0E0D0C0B0A0908};

TEST(SipHash, HasThePublishedValues) {
  // Vectors of the reference implementation (github.com/veorq/SipHash): key 00 01 .. 0f, message 00 01 .. n - 1.
  constexpr std::array<std::uint64_t, 4> first{0x726FDB47DD0E0E31, 0x74F839C593DC67FD, 0x0D6C8009D9A94F5A,
                                               0x85676696D7FB7E2D};
  std::vector<std::byte> message;
  for (std::size_t n = 0; n < 16; ++n) {
    if (n < first.size()) {
      EXPECT_EQ(siphash(seed, message), first[n]) << n;
    }
    if (n == 15) {
      EXPECT_EQ(siphash(seed, message), 0xA129CA6149BE45E5U);  // the example of the paper, appendix A
    }
    message.push_back(static_cast<std::byte>(n));
  }
}

/// Hoeffding: how far a rate of n coins strays from its mean, except with probability 1e-9.
double straying(double n) { return std::sqrt(std::log(2e9) / (2.0 * n)); }

TEST(SamplingCoin, FallsAtItsRate) {
  constexpr int n = 200000;
  for (const double rate : {0.001, 0.01, 0.3, 0.9}) {
    const SamplingCoin coin(rate, seed);
    int heads = 0, both = 0;
    for (std::uint64_t i = 0; i < n; ++i) {
      heads += coin.heads(1, i);
      both += coin.heads(1, i) && coin.heads(1, i + 1);  // neighbours, and other streams, are independent
      both += coin.heads(1, i) && coin.heads(2, i);
    }
    EXPECT_NEAR(heads / double{n}, rate, straying(n));
    EXPECT_NEAR(both / 2.0 / double{n}, rate * rate, 2 * straying(n));
  }
}

TEST(SamplingCoin, AtRateOneEverythingIsAudited) {
  const SamplingCoin coin(1.0, seed);
  for (std::uint64_t i = 0; i < 1000; ++i) EXPECT_TRUE(coin.heads(3, i));
}

TEST(SamplingCoin, KnowsItsProbabilityExactly) {
  EXPECT_EQ(SamplingCoin(0.01, seed).probability(), 0.01 + 0x1p-54 - std::fmod(0.01 + 0x1p-54, 0x1p-53));
  EXPECT_EQ(SamplingCoin(1.0, seed).probability(), 1.0);
  EXPECT_EQ(SamplingCoin(1e-300, seed).probability(), 0x1p-53);
  EXPECT_GE(SamplingCoin(0.01, seed).probability(), 0.01);
}

TEST(SamplingCoin, FallsTheSameAgain) {
  const SamplingCoin one(0.5, seed), other(0.5, seed), foreign(0.5, {1, 2});
  int different = 0;
  for (std::uint64_t i = 0; i < 1000; ++i) {
    EXPECT_EQ(one.heads(7, i), other.heads(7, i));
    different += one.heads(7, i) != foreign.heads(7, i);
  }
  EXPECT_GT(different, 400);
}

/// Rate of violations among the audited requests minus that among all; 20 % of all requests are violated.
template <class Selects>
double bias(Selects selects) {
  std::mt19937_64 random(11);
  std::bernoulli_distribution violated(0.2);
  double audited = 0, found = 0;
  for (std::uint64_t request = 0; request < 200000; ++request) {
    const bool violation = violated(random);
    if (!selects(request, violation)) continue;
    ++audited;
    found += violation;
  }
  return std::abs(found / audited - 0.2) - straying(audited);
}
TEST(SamplingCoin, AuditsViolationsAsOftenAsTheyAre) {
  const SamplingCoin coin(0.1, seed);
  EXPECT_LE(bias([&](std::uint64_t request, bool) { return coin.heads(5, request); }), 0.0);
}
TEST(SamplingCoin, TheTestAboveCatchesACoinThatLooksAtTheOutcome) {
  const SamplingCoin coin(0.1, seed);
  // Half of the shadow runs that would find a violation are lost.
  EXPECT_GT(bias([&](std::uint64_t request, bool violation) {
              return coin.heads(5, request) && !(violation && request % 2 == 0);
            }),
            0.0);
}

TEST(SamplingCoin, RefusesRatesOutsideItsDomain) {
  for (const double rate : {std::numeric_limits<double>::quiet_NaN(), 0.0, -0.1, 1.1})
    EXPECT_THROW(SamplingCoin(rate, seed), ValueError);
}

}  // namespace
}  // namespace mpp::guarantees

#include <mpp/core/guarantees/shiryaev_roberts.hpp>

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <random>

#include <mpp/core/error.hpp>

#include "statistical/audit_reference.hpp"

namespace mpp::guarantees {
namespace {

using namespace mpp::test;

constexpr double nan = std::numeric_limits<double>::quiet_NaN();

// ---- broken twins ----

struct StartedAtOne : ShiryaevRoberts {
  explicit StartedAtOne(Delta allowed) : ShiryaevRoberts(allowed, ones()) {}
  static PerAlternative ones() {
    PerAlternative sums;
    sums.fill(1.0);
    return sums;
  }
};
struct NineWeightsOfAnEighth : ShiryaevRoberts {
  using ShiryaevRoberts::ShiryaevRoberts;
  double value() const { return ShiryaevRoberts::value() * 9.0 / 8.0; }
};
// The recursion with another way to begin anew at every loss, in plain doubles.
template <class Begin>
struct Recursion {
  explicit Recursion(Delta rate) : allowed(rate.value) {}
  void observe(double loss) {
    for (std::size_t k = 0; k < alternative_count; ++k) {
      const double m = odds_ratios[k];
      sums[k] = Begin{}(sums[k]) * (1 + (m - 1) * loss) / (1 + (m - 1) * allowed);
    }
  }
  double value() const {
    double sum = 0.0;
    for (const double r : sums) sum += r;
    return sum * alternative_weight;
  }
  double allowed;
  PerAlternative sums{};
};
struct LargerOfOneAnd {
  double operator()(double r) const { return std::max(1.0, r); }
};
struct TwoPlus {
  double operator()(double r) const { return 2.0 + r; }
};
struct OnePlus {
  double operator()(double r) const { return 1.0 + r; }
};
struct RoundedUp : Recursion<OnePlus> {
  using Recursion::Recursion;
  void observe(double loss) {
    Recursion::observe(loss);
    for (double& r : sums) r = std::nextafter(r, 1e300);
  }
  double value() const { return std::nextafter(Recursion::value(), 1e300); }
};

// ---- what must hold ----

/// Largest of E[value_t] - t over t <= length and all allowed rates, by enumeration.
template <class Detector>
long double worst_excess(double allowed, int length) {
  long double worst = -std::numeric_limits<long double>::infinity();
  for (const double rate : compliant_rates(allowed))
    for (int t = 1; t <= length; ++t) {
      long double mean = 0.0L;
      each_sequence(t, [&](const std::vector<double>& losses, int violations) {
        Detector detector(Delta{allowed});
        for (const double loss : losses) detector.observe(loss);
        mean += probability(rate, t, violations) * static_cast<long double>(detector.value());
      });
      worst = std::max(worst, mean - t);
    }
  return worst;
}

/// Largest of E[value_{t+1} given the past] - (value_t + 1), over every past of up to `length` losses.
template <class Detector>
long double worst_conditional_excess(double allowed, int length) {
  long double worst = -std::numeric_limits<long double>::infinity();
  for (int t = 0; t <= length; ++t)
    each_sequence(t, [&](const std::vector<double>& losses, int) {
      Detector past(Delta{allowed});
      for (const double loss : losses) past.observe(loss);
      Detector compliant = past, violated = past;
      compliant.observe(0.0);
      violated.observe(1.0);
      const long double mean = static_cast<long double>(allowed) * static_cast<long double>(violated.value()) +
                               (1.0L - allowed) * static_cast<long double>(compliant.value());
      // value() is lowered by 2^-50 of it; the sums themselves are the supermartingale.
      worst = std::max(worst, mean - (static_cast<long double>(past.value()) * (1.0L + 0x1p-48L) + 1.0L));
    });
  return worst;
}

/// Mean time to an alarm at a small threshold, at the allowed rate, by enumeration; runs stop at `length`. The mean can
/// only be larger when they do not.
template <class Detector>
long double mean_time(double allowed, double threshold, int length) {
  long double mean = 0.0L;
  each_sequence(length, [&](const std::vector<double>& losses, int violations) {
    Detector detector(Delta{allowed});
    int t = 0;
    do detector.observe(losses[static_cast<std::size_t>(t)]);
    while (++t < length && !(detector.value() >= threshold));
    mean += probability(allowed, length, violations) * t;
  });
  return mean;
}

template <class Detector>
struct Against {
  int overstated = 0;
  int far_below = 0;  // by more than 1e-12 of it
};
template <class Detector>
Against<Detector> against_reference(std::uint64_t seed) {
  std::mt19937_64 random(seed);
  std::uniform_real_distribution<double> uniform;
  Against<Detector> found;
  for (const double allowed : allowed_rates)
    for (const double rate : {0.0, 0.5 * allowed, allowed, std::min(1.0, 4.0 * allowed)}) {
      Detector detector(Delta{allowed});
      std::vector<double> losses;
      for (int i = 0; i < 250; ++i) {
        const double u = uniform(random);
        losses.push_back(i % 3 == 0 ? (u < rate ? 1.0 : 0.0) : i % 3 == 1 ? u * rate : std::ldexp(u * rate, -i * 4));
        detector.observe(losses.back());
        const long double exact = shiryaev_roberts(allowed, losses);
        if (detector.value() > exact) ++found.overstated;
        if (detector.value() < exact * (1.0L - 1e-12L)) ++found.far_below;
      }
    }
  return found;
}

TEST(ShiryaevRoberts, ExceedsTheTimeOnAverageAtNoAllowedRate) {
  for (const double allowed : allowed_rates) EXPECT_LE(worst_excess<ShiryaevRoberts>(allowed, 8), 0.0L) << allowed;
}
TEST(ShiryaevRoberts, TheTestAboveCatchesBrokenTwins) {
  EXPECT_GT(worst_excess<StartedAtOne>(0.3, 8), 0.0L);
  EXPECT_GT(worst_excess<NineWeightsOfAnEighth>(0.3, 8), 0.0L);
  EXPECT_GT(worst_excess<Recursion<TwoPlus>>(0.3, 8), 0.0L);
  EXPECT_GT(worst_excess<RoundedUp>(0.3, 8), 0.0L);
}

TEST(ShiryaevRoberts, MinusTheTimeIsASupermartingaleAfterEveryPast) {
  for (const double allowed : {0.01, 0.3, 0.9})
    EXPECT_LE(worst_conditional_excess<ShiryaevRoberts>(allowed, 9), 0.0L) << allowed;
}
TEST(ShiryaevRoberts, TheTestAboveCatchesBeginningTwice) {
  EXPECT_GT(worst_conditional_excess<Recursion<TwoPlus>>(0.3, 5), 0.0L);
}

TEST(ShiryaevRoberts, AThresholdIsAMeanTimeToAFalseAlarm) {
  for (const double allowed : {0.3, 0.5, 0.7})
    for (const double threshold : {1.0, 1.5, 2.0, 3.0})
      EXPECT_GE(mean_time<ShiryaevRoberts>(allowed, threshold, 16), threshold) << allowed << ' ' << threshold;
}
TEST(ShiryaevRoberts, AMeanTimeOfBeginningTwiceIsCaught) {
  EXPECT_LT(mean_time<Recursion<TwoPlus>>(0.5, 3.0, 16), 3.0L);
}

TEST(ShiryaevRoberts, IsTheRecursionRoundedDown) {
  const auto found = against_reference<ShiryaevRoberts>(1);
  EXPECT_EQ(found.overstated, 0);
  EXPECT_EQ(found.far_below, 0);
}
TEST(ShiryaevRoberts, TheTestAboveCatchesACusumAndRoundingUp) {
  EXPECT_GT(against_reference<Recursion<LargerOfOneAnd>>(1).far_below, 0);  // a CUSUM: valid, but it misses slow drift
  EXPECT_GT(against_reference<RoundedUp>(1).overstated, 0);
}

TEST(ShiryaevRoberts, StaysFiniteHoweverManyViolations) {
  ShiryaevRoberts detector(Delta{0.01});
  for (int i = 0; i < 5000; ++i) detector.observe(1.0);
  EXPECT_TRUE(std::isfinite(detector.value()));
  EXPECT_TRUE(detector.alarm(ShiryaevRoberts::max_threshold));
}

TEST(ShiryaevRoberts, GoesOnFromItsStateBitForBit) {
  ShiryaevRoberts whole(Delta{0.05});
  ShiryaevRoberts part = whole;
  for (int i = 0; i < 200; ++i) {
    const double loss = i % 11 == 0 ? 1.0 : i % 5 == 0 ? 0.3 : 0.0;
    part = ShiryaevRoberts(Delta{0.05}, part.sums());
    whole.observe(loss);
    part.observe(loss);
    EXPECT_EQ(whole.sums(), part.sums());
  }
}

TEST(ShiryaevRoberts, RefusesWhatIsOutsideItsDomain) {
  for (const double allowed : {nan, 0.0, -0.1, 1e-13, 1.0, 2.0})
    EXPECT_THROW(ShiryaevRoberts{Delta{allowed}}, ValueError);
  ShiryaevRoberts detector(Delta{0.1});
  const PerAlternative before = detector.sums();
  for (const double loss : {nan, -1e-300, 1.0 + 0x1p-52, 1e300}) EXPECT_THROW(detector.observe(loss), ValueError);
  EXPECT_EQ(detector.sums(), before);
  for (const double time : {nan, 0.0, 0.5, 0x1p901, HUGE_VAL}) EXPECT_THROW((void)detector.alarm(time), ValueError);
  PerAlternative sums{};
  for (const double bad : {nan, HUGE_VAL, -1.0}) {
    sums[3] = bad;
    EXPECT_THROW(ShiryaevRoberts(Delta{0.1}, sums), ValueError);
  }
}

}  // namespace
}  // namespace mpp::guarantees

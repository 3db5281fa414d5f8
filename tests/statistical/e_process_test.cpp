#include <mpp/core/guarantees/e_process.hpp>

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

struct StartedAtTwo : EProcess {
  using EProcess::EProcess;
  double log_value() const { return EProcess::log_value() + std::log(2.0); }
};
struct NineWeightsOfAnEighth : EProcess {
  using EProcess::EProcess;
  double log_value() const { return EProcess::log_value() + std::log(9.0 / 8.0); }
};
// Bets on the largest product so far instead of on the present one: what a report of "the best evidence" would do.
struct Peak : EProcess {
  using EProcess::EProcess;
  void observe(double loss) {
    EProcess::observe(loss);
    peak = std::max(peak, EProcess::log_value());
  }
  double log_value() const { return peak; }
  double peak = 0.0;
};
// The same products, to nearest and then up.
struct RoundedUp {
  explicit RoundedUp(Delta rate) : allowed(rate.value) {}
  void observe(double loss) {
    for (std::size_t k = 0; k < alternative_count; ++k) {
      const double m = odds_ratios[k];
      logs[k] = std::nextafter(logs[k] + (std::log1p((m - 1) * loss) - std::log1p((m - 1) * allowed)), 1e300);
    }
  }
  double log_value() const {
    const double best = *std::max_element(logs.begin(), logs.end());
    double sum = 0.0;
    for (const double value : logs) sum += std::exp(value - best);
    return std::nextafter(best + std::log(sum * alternative_weight), 1e300);
  }
  double allowed;
  PerAlternative logs{};
};

// ---- what must hold ----

/// Largest mean of E over all 0/1 sequences of a length, at any rate that is allowed.
template <class Process>
long double worst_mean(double allowed, int length) {
  long double worst = 0.0L;
  for (const double rate : compliant_rates(allowed)) {
    long double mean = 0.0L;
    each_sequence(length, [&](const std::vector<double>& losses, int violations) {
      Process process(Delta{allowed});
      for (const double loss : losses) process.observe(loss);
      mean += probability(rate, length, violations) * std::exp(static_cast<long double>(process.log_value()));
    });
    worst = std::max(worst, mean);
  }
  return worst;
}

/// How often the evidence is above the exact one, over long mixed sequences of 0/1 and graded losses.
template <class Process>
int overstatements(std::uint64_t seed) {
  std::mt19937_64 random(seed);
  std::uniform_real_distribution<double> uniform;
  int count = 0;
  for (const double allowed : allowed_rates)
    for (const double rate : {0.0, 0.5 * allowed, allowed, 1.0}) {
      Process process(Delta{allowed});
      std::vector<double> losses;
      for (int i = 0; i < 300; ++i) {
        const double u = uniform(random);
        losses.push_back(i % 3 == 0 ? (u < rate ? 1.0 : 0.0) : i % 3 == 1 ? u * rate : std::ldexp(u, -i * 4));
        process.observe(losses.back());
        if (i % 7 == 0 && process.log_value() > log_e_value(allowed, losses)) ++count;
      }
    }
  return count;
}

TEST(EProcess, HasMeanAtMostOneAtEveryAllowedRate) {
  for (const double allowed : allowed_rates)
    for (const int length : {0, 1, 2, 5, 10}) EXPECT_LE(worst_mean<EProcess>(allowed, length), 1.0L) << allowed;
}
TEST(EProcess, TheTestAboveCatchesBrokenTwins) {
  EXPECT_GT(worst_mean<StartedAtTwo>(0.3, 5), 1.0L);
  EXPECT_GT(worst_mean<NineWeightsOfAnEighth>(0.3, 5), 1.0L);
  EXPECT_GT(worst_mean<Peak>(0.3, 5), 1.0L);
  EXPECT_GT(worst_mean<RoundedUp>(0.3, 5), 1.0L);
}

TEST(EProcess, IsNotFarBelowOneAtTheAllowedRate) {
  for (const double allowed : {0.01, 0.3, 0.9}) EXPECT_GT(worst_mean<EProcess>(allowed, 10), 1.0L - 1e-12L);
}

TEST(EProcess, GradedLossesHaveMeanAtMostOneToo) {
  // Two values with mean exactly the allowed rate are the extreme points of all distributions with that mean: E is linear
  // in each of their probabilities.
  for (const double allowed : {0.25, 0.5})
    for (const double low : {0.0, 0.125, allowed / 2})
      for (const double high : {1.0, 0.75, allowed + 0.125}) {
        const long double p = (allowed - static_cast<long double>(low)) / (static_cast<long double>(high) - low);
        long double mean = 0.0L;
        each_sequence(8, [&](const std::vector<double>& picks, int highs) {
          EProcess process(Delta{allowed});
          for (const double pick : picks) process.observe(pick == 1.0 ? high : low);
          mean += probability(p, 8, highs) * std::exp(static_cast<long double>(process.log_value()));
        });
        EXPECT_LE(mean, 1.0L) << allowed << ' ' << low << ' ' << high;
      }
}

TEST(EProcess, IsNeverOverstated) { EXPECT_EQ(overstatements<EProcess>(1), 0); }
TEST(EProcess, TheTestAboveCatchesRoundingUp) { EXPECT_GT(overstatements<RoundedUp>(1), 0); }

TEST(EProcess, IsTheMixtureToTwelveDigits) {
  std::mt19937_64 random(3);
  std::vector<double> losses(2000);
  for (double& loss : losses) loss = std::bernoulli_distribution(0.02)(random) ? 1.0 : 0.0;
  for (const double allowed : {0.001, 0.01, 0.5}) {
    EProcess process(Delta{allowed});
    for (const double loss : losses) process.observe(loss);
    const double exact = static_cast<double>(log_e_value(allowed, losses));
    EXPECT_NEAR(process.log_value(), exact, 1e-12 * std::abs(exact) + 1e-9) << allowed;
  }
}

// Ville over a horizon that can be enumerated: the mass of all sequences that ever alarm.
template <class Process>
long double alarm_probability(double allowed, double alpha, int length) {
  long double mass = 0.0L;
  each_sequence(length, [&](const std::vector<double>& losses, int violations) {
    Process process(Delta{allowed});
    bool alarmed = false;
    for (const double loss : losses) {
      process.observe(loss);
      alarmed = alarmed || process.log_value() >= -std::log(alpha);
    }
    if (alarmed) mass += probability(allowed, length, violations);
  });
  return mass;
}
TEST(EProcess, EverAlarmsWithProbabilityAtMostAlpha) {
  for (const double allowed : {0.1, 0.3, 0.5})
    for (const double alpha : {0.3, 0.1, 0.05}) EXPECT_LE(alarm_probability<EProcess>(allowed, alpha, 12), alpha);
}
TEST(EProcess, TheTestAboveCatchesAStartAtTwo) { EXPECT_GT(alarm_probability<StartedAtTwo>(0.5, 0.3, 12), 0.3L); }

TEST(EProcess, AlarmAgreesWithItsValue) {
  EProcess process(Delta{0.01});
  for (int i = 0; i < 40; ++i) {
    for (const double alpha : {0.5, 0.05, 0.01, 1e-6, 1e-300})
      EXPECT_EQ(process.alarm(Delta{alpha}), process.log_value() > -std::log(alpha)) << i << ' ' << alpha;
    process.observe(1.0);
  }
  EXPECT_TRUE(process.alarm(Delta{1e-30}));
}

TEST(EProcess, SimulatedAtTheAllowedRateAlarmsWithinAlpha) {
  std::mt19937_64 random(5);
  constexpr int runs = 1000, horizon = 5000;
  constexpr double alpha = 0.05;
  int alarms = 0;
  for (int run = 0; run < runs; ++run) {
    EProcess process(Delta{0.02});
    std::bernoulli_distribution violated(0.02);
    bool alarmed = false;
    for (int i = 0; i < horizon && !alarmed; ++i) {
      process.observe(violated(random) ? 1.0 : 0.0);
      alarmed = process.alarm(Delta{alpha});
    }
    alarms += alarmed;
  }
  RecordProperty("alarms", alarms);
  // Hoeffding: at most alpha plus this, except with probability 1e-9.
  EXPECT_LE(alarms, runs * (alpha + std::sqrt(std::log(1e9) / (2.0 * runs))));
  EXPECT_GT(alarms, 0);
}

TEST(EProcess, GoesOnFromItsStateBitForBit) {
  EProcess whole(Delta{0.05});
  EProcess part = whole;
  for (int i = 0; i < 200; ++i) {
    const double loss = i % 11 == 0 ? 1.0 : i % 5 == 0 ? 0.3 : 0.0;
    part = EProcess(Delta{0.05}, part.log_wealth());
    whole.observe(loss);
    part.observe(loss);
    EXPECT_EQ(whole.log_wealth(), part.log_wealth());
  }
}

/// Largest error of a function of the C library in units of the last place, over samples from low to high.
template <class Function>
double worst_error(Function function, double low, double high) {
  std::mt19937_64 random(13);
  std::uniform_real_distribution<double> uniform(low, high);
  double worst = 0.0;
  for (int i = 0; i < 200000; ++i) {
    const double x = i % 2 == 0 ? uniform(random) : std::ldexp(uniform(random), -(i % 40));
    const double found = function(x);
    const long double exact = function(static_cast<long double>(x));
    const double unit = std::ldexp(1.0, std::ilogb(found) - 52);
    worst = std::max(worst, static_cast<double>(std::abs(found - exact) / unit));
  }
  return worst;
}
TEST(EProcess, TheCLibraryIsAsExactAsAssumed) {
  EXPECT_LE(worst_error([](auto x) { return std::log1p(x); }, 1e-14, 11.0), 4.0);
  EXPECT_LE(worst_error([](auto x) { return std::exp(x); }, -32.0, 0.0), 4.0);
  EXPECT_LE(worst_error([](auto x) { return std::log(x); }, 1e-6, 0.999), 4.0);
}

TEST(EProcess, RefusesWhatIsOutsideItsDomain) {
  for (const double allowed : {nan, 0.0, -0.1, 1e-13, 1.0, 2.0}) EXPECT_THROW(EProcess{Delta{allowed}}, ValueError);
  EProcess process(Delta{0.1});
  const PerAlternative before = process.log_wealth();
  for (const double loss : {nan, -1e-300, 1.0 + 0x1p-52, 1e300}) EXPECT_THROW(process.observe(loss), ValueError);
  EXPECT_EQ(process.log_wealth(), before);
  for (const double alpha : {nan, 0.0, 1.0, -1.0}) EXPECT_THROW((void)process.alarm(Delta{alpha}), ValueError);
  PerAlternative wealth{};
  for (const double bad : {nan, HUGE_VAL, -HUGE_VAL}) {
    wealth[3] = bad;
    EXPECT_THROW(EProcess(Delta{0.1}, wealth), ValueError);
  }
}

}  // namespace
}  // namespace mpp::guarantees

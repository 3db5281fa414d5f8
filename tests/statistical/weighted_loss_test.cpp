#include <mpp/core/guarantees/weighted_loss.hpp>

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <vector>

#include <mpp/core/error.hpp>
#include <mpp/core/guarantees/e_process.hpp>
#include <mpp/core/guarantees/shiryaev_roberts.hpp>

namespace mpp::guarantees {
namespace {

constexpr double nan = std::numeric_limits<double>::quiet_NaN();

// Half of the requests are easy and never violated. The hard ones are violated at twice the allowed rate and audited nine
// times as often: the mean of all losses is exactly the allowed rate.
constexpr double allowed = 0.2, easy = 0.1, hard = 0.9;

struct Seen {  // what an audit sees of one request
  bool audited;
  double loss, coin;
  long double probability;
};
const std::vector<Seen> possible{
    {false, 0.0, 0.0, 0.5L * (1.0L - easy) + 0.5L * (1.0L - hard)},
    {true, 0.0, easy, 0.5L * easy},
    {true, 0.0, hard, 0.5L * hard * (1.0L - 2.0L * allowed)},
    {true, 1.0, hard, 0.5L * hard * 2.0L * allowed},
};

struct Weighted {
  template <class Detector>
  static Detector make() {
    return Detector(weighted_allowed(Delta{allowed}, easy));
  }
  template <class Detector>
  static void observe(Detector& detector, const Seen& seen) {
    detector.observe(seen.audited ? weighted_loss(seen.loss, seen.coin, easy) : 0.0);
  }
};
struct AsTheyAre {  // the broken twin: audited losses without weights
  template <class Detector>
  static Detector make() {
    return Detector(Delta{allowed});
  }
  template <class Detector>
  static void observe(Detector& detector, const Seen& seen) {
    if (seen.audited) detector.observe(seen.loss);
  }
};

/// Sum over all that `left` further requests can show of probability * value(detector).
template <class Way, class Detector, class Value>
long double mean(const Detector& detector, int left, Value value) {
  if (left == 0) return value(detector);
  long double sum = 0.0L;
  for (const Seen& seen : possible) {
    Detector next = detector;
    Way::observe(next, seen);
    sum += seen.probability * mean<Way>(next, left - 1, value);
  }
  return sum;
}
template <class Way>
long double mean_e_value(int requests) {
  return mean<Way>(Way::template make<EProcess>(), requests,
                   [](const EProcess& p) { return std::exp(static_cast<long double>(p.log_value())); });
}
template <class Way>
long double mean_drift(int requests) {
  return mean<Way>(Way::template make<ShiryaevRoberts>(), requests,
                   [](const ShiryaevRoberts& d) { return static_cast<long double>(d.value()); });
}

TEST(WeightedLoss, KeepsTheDetectorsValidWhenHardRequestsAreAuditedMore) {
  for (const int requests : {1, 3, 6}) {
    EXPECT_LE(mean_e_value<Weighted>(requests), 1.0L);
    EXPECT_GT(mean_e_value<Weighted>(requests), 1.0L - 1e-12L);
    EXPECT_LE(mean_drift<Weighted>(requests), requests);
  }
}
TEST(WeightedLoss, TheTestAboveCatchesLossesWithoutWeights) { EXPECT_GT(mean_e_value<AsTheyAre>(6), 1.1L); }

TEST(WeightedLoss, IsRoundedDownAndItsRateUp) {
  for (const double p : {0.01, 0.03, 0.1, 1.0 / 3.0, 0.7, 1.0})
    for (const double loss : {1.0, 0.1, 1.0 / 3.0}) {
      const long double exact = static_cast<long double>(loss) * static_cast<long double>(0.01) / p;
      EXPECT_LE(weighted_loss(loss, p, 0.01), exact);
      EXPECT_GE(weighted_loss(loss, p, 0.01), exact * (1.0L - 1e-15L));
      EXPECT_GE(weighted_allowed(Delta{loss * 0.5}, p).value, static_cast<long double>(loss * 0.5) * p);
    }
  EXPECT_EQ(weighted_loss(0.0, 0.5, 0.1), 0.0);
}

TEST(WeightedLoss, RefusesWhatIsOutsideItsDomain) {
  for (const double bad : {nan, -0.1, 1.1}) EXPECT_THROW((void)weighted_loss(bad, 0.5, 0.1), ValueError);
  for (const double bad : {nan, 0.0, 0.09, 1.1}) EXPECT_THROW((void)weighted_loss(0.5, bad, 0.1), ValueError);
  for (const double bad : {nan, 0.0, -0.1, 1.1}) {
    EXPECT_THROW((void)weighted_loss(0.5, 1.0, bad), ValueError);
    EXPECT_THROW((void)weighted_allowed(Delta{0.1}, bad), ValueError);
  }
  for (const double bad : {nan, 0.0, 1.0}) EXPECT_THROW((void)weighted_allowed(Delta{bad}, 0.5), ValueError);
  EXPECT_THROW((void)weighted_allowed(Delta{1e-8}, 1e-8), ValueError);
}

}  // namespace
}  // namespace mpp::guarantees

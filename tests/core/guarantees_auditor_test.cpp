#include <mpp/core/guarantees/auditor.hpp>

#include <gtest/gtest.h>

#include <algorithm>
#include <cfenv>
#include <cmath>
#include <cstring>
#include <limits>
#include <memory>
#include <random>
#include <string>
#include <thread>

#include <mpp/core/error.hpp>

#include "fuzz/audit_state_property.hpp"
#include "support/message_of.hpp"
#include "support/temporary_folder.hpp"

namespace mpp::guarantees {
namespace {

using namespace mpp::test;

constexpr double nan = std::numeric_limits<double>::quiet_NaN();
const AuditKey gold{"ranking", 1, "gold"}, silver{"ranking", 1, "silver"}, other_level{"ranking", 2, "gold"};
const AuditSettings everything{.sampling_rate = 1.0, .seed = {1, 2}};

bool has(const std::string& sentence, const char* part) { return sentence.find(part) != std::string::npos; }

/// Violations until the key is closed.
int violations_to_alarm(Auditor& auditor, const AuditKey& key) {
  for (int count = 1; count < 1000; ++count)
    if (!auditor.observe(key, static_cast<std::uint64_t>(count), 1.0).open()) return count;
  return 1000;
}

TEST(Auditor, AKeyThatWasNeverCalibratedMayNotRelease) {
  Auditor auditor(everything);
  EXPECT_FALSE(auditor.may_release(gold));
  EXPECT_FALSE(auditor.selects(gold, 1));
  EXPECT_TRUE(has(message_of<std::exception>([&] { auditor.observe(gold, 1, 0.0); }), "expected recalibrated() first"));
  EXPECT_THROW((void)auditor.status(gold), ValueError);
  auditor.recalibrated(gold, "r1", Delta{0.01});
  EXPECT_TRUE(auditor.may_release(gold));
  EXPECT_FALSE(auditor.may_release(silver));
  EXPECT_FALSE(auditor.may_release(other_level));
}

TEST(Auditor, AKeyThatIsAuditedForMoreThanThePromiseMayNotReleaseIt) {
  Auditor auditor(everything);
  auditor.recalibrated(gold, "r1", Delta{0.01});
  EXPECT_TRUE(auditor.may_release(gold, "r1", Delta{0.01}));
  EXPECT_TRUE(auditor.may_release(gold, "r1", Delta{0.02}));
  for (const double promised : {std::nextafter(0.01, 0.0), 0.0, nan})
    EXPECT_FALSE(auditor.may_release(gold, "r1", Delta{promised})) << promised;
  EXPECT_FALSE(auditor.may_release(gold, "r2", Delta{0.01}));
  EXPECT_FALSE(auditor.may_release(silver, "r1", Delta{0.01}));
}

TEST(Auditor, AnAlarmClosesItsKeyUntilItIsRecalibrated) {
  Auditor auditor(everything);
  for (const AuditKey& key : {gold, silver, other_level}) auditor.recalibrated(key, "r1", Delta{0.01});
  EXPECT_LT(violations_to_alarm(auditor, gold), 10);
  EXPECT_FALSE(auditor.may_release(gold));
  EXPECT_TRUE(auditor.may_release(silver));
  EXPECT_TRUE(auditor.may_release(other_level));

  const AuditStatus at_alarm = auditor.status(gold);
  for (std::uint64_t request = 100; request < 5000; ++request) auditor.observe(gold, request, 0.0);
  const AuditStatus later = auditor.status(gold);
  EXPECT_FALSE(later.open());  // compliant losses do not open it again
  EXPECT_EQ(later.alarm, at_alarm.alarm);
  EXPECT_EQ(later.audited, at_alarm.audited + 4900);
  EXPECT_EQ(later.log_e_value, at_alarm.log_e_value);
  EXPECT_EQ(later.drift, at_alarm.drift);

  EXPECT_TRUE(has(message_of<std::exception>([&] { auditor.recalibrated(gold, "r1", Delta{0.01}); }),
                  "expected a new calibration"));
  EXPECT_FALSE(auditor.may_release(gold));
  auditor.recalibrated(gold, "r2", Delta{0.02});
  const AuditStatus fresh = auditor.status(gold);
  EXPECT_TRUE(fresh.open());
  EXPECT_EQ(fresh.record, "r2");
  EXPECT_EQ(fresh.allowed.value, 0.02);
  EXPECT_EQ(fresh.audited, 0U);
  EXPECT_EQ(fresh.loss, 0.0);
  EXPECT_EQ(fresh.drift, 0.0);
  EXPECT_NEAR(fresh.log_e_value, 0.0, 1e-12);
}

TEST(Auditor, ARecordOpensAKeyOnce) {
  Auditor auditor(everything);
  auditor.recalibrated(gold, "A", Delta{0.01});
  violations_to_alarm(auditor, gold);
  auditor.recalibrated(gold, "B", Delta{0.01});
  const std::string error = message_of<std::exception>([&] { auditor.recalibrated(gold, "A", Delta{0.01}); });
  EXPECT_TRUE(has(error, "has run under record 'A' already, expected a new calibration")) << error;
  EXPECT_FALSE(auditor.may_release(gold, "A", Delta{0.01}));
  EXPECT_TRUE(auditor.may_release(gold, "B", Delta{0.01}));
  Auditor restarted = Auditor::parse(auditor.bytes());
  EXPECT_THROW(restarted.recalibrated(gold, "A", Delta{0.01}), ValueError);
  restarted.recalibrated(gold, "C", Delta{0.01});
  for (const char* old : {"A", "B", "C"}) EXPECT_THROW(restarted.recalibrated(gold, old, Delta{0.01}), ValueError);
  restarted.recalibrated(silver, "A", Delta{0.01});  // another key
}

TEST(Auditor, CountsTheRecordsOfAKey) {
  Auditor auditor(everything);
  for (std::size_t i = 0; i <= Auditor::max_past_records; ++i)
    auditor.recalibrated(gold, std::to_string(i), Delta{0.1});
  const auto before = auditor.bytes();
  EXPECT_TRUE(has(message_of<std::exception>([&] { auditor.recalibrated(gold, "next", Delta{0.1}); }),
                  "has run under 4097 records"));
  EXPECT_EQ(auditor.bytes(), before);
  EXPECT_EQ(Auditor::parse(before).bytes(), before);
}

TEST(Auditor, BothDetectorsCanRaiseTheAlarm) {
  Auditor quick(AuditSettings{.sampling_rate = 1.0, .lifetime_alpha = {0.01}, .mean_time_to_false_drift = 1e12});
  Auditor drift(AuditSettings{.sampling_rate = 1.0, .lifetime_alpha = {1e-300}, .mean_time_to_false_drift = 1e3});
  for (Auditor* auditor : {&quick, &drift}) {
    auditor->recalibrated(gold, "r1", Delta{0.01});
    violations_to_alarm(*auditor, gold);
  }
  EXPECT_EQ(quick.status(gold).alarm, Alarm::lifetime);
  EXPECT_EQ(drift.status(gold).alarm, Alarm::drift);
  EXPECT_EQ(name(Alarm::lifetime), "lifetime");
  EXPECT_EQ(name(Alarm::drift), "drift");
}

TEST(Auditor, ObservesOnlyWhatTheCoinHasSelected) {
  Auditor auditor({.sampling_rate = 0.25, .seed = {5, 6}});
  auditor.recalibrated(gold, "r1", Delta{0.5});
  auditor.recalibrated(silver, "r1", Delta{0.5});
  int selected = 0, both = 0;
  for (std::uint64_t request = 0; request < 4000; ++request) {
    EXPECT_EQ(auditor.selects(gold, request), auditor.selects(gold, request));
    both += auditor.selects(gold, request) && auditor.selects(silver, request);
    if (auditor.selects(gold, request)) {
      ++selected;
      auditor.observe(gold, request, 0.0);
    } else {
      EXPECT_TRUE(has(message_of<std::exception>([&] { auditor.observe(gold, request, 1.0); }), "was not selected"));
    }
  }
  EXPECT_EQ(auditor.status(gold).audited, static_cast<std::uint64_t>(selected));
  EXPECT_EQ(auditor.status(gold).loss, 0.0);
  EXPECT_NEAR(selected / 4000.0, 0.25, 0.06);     // Hoeffding at 1e-9: 0.051
  EXPECT_NEAR(both / 4000.0, 0.25 * 0.25, 0.06);  // keys do not share their coins
}

TEST(Auditor, IsWhatItsDetectorsAre) {
  Auditor auditor(everything);
  auditor.recalibrated(gold, "r1", Delta{0.2});
  EProcess lifetime(Delta{0.2});
  ShiryaevRoberts drift(Delta{0.2});
  for (std::uint64_t request = 0; request < 300; ++request) {
    const double loss = request % 10 == 0 ? 1.0 : request % 7 == 0 ? 0.125 : 0.0;
    lifetime.observe(loss);
    drift.observe(loss);
    const AuditStatus status = auditor.observe(gold, request, loss);
    ASSERT_EQ(status.log_e_value, lifetime.log_value());
    ASSERT_EQ(status.drift, drift.value());
  }
}

TEST(Auditor, RefusesToComputeInAnotherRoundingMode) {
  Auditor auditor(everything);
  auditor.recalibrated(gold, "r1", Delta{0.2});
  const auto before = auditor.bytes();
  for (const int mode : {FE_UPWARD, FE_DOWNWARD, FE_TOWARDZERO}) {
    std::fesetround(mode);
    const std::string observed = message_of<std::exception>([&] { auditor.observe(gold, 1, 1.0); });
    const std::string opened = message_of<std::exception>([&] { auditor.recalibrated(silver, "r1", Delta{0.2}); });
    const std::string read = message_of<std::exception>([&] { (void)auditor.status(gold); });
    const std::string lifetime = message_of<std::exception>([] { EProcess(Delta{0.2}); });
    const std::string drift = message_of<std::exception>([] { ShiryaevRoberts(Delta{0.2}); });
    std::fesetround(FE_TONEAREST);
    for (const std::string& error : {observed, opened, read, lifetime, drift})
      EXPECT_TRUE(has(error, "does not round to nearest")) << error;
  }
  EXPECT_EQ(auditor.bytes(), before);
}

// ---- restarts ----

/// A run with a restart after every audit equals one without, and an alarm stays.
template <class Restart>
bool survives_restarts(Restart restart) {
  auto stopped = std::make_unique<Auditor>(AuditSettings{.sampling_rate = 0.5, .seed = {7, 8}});
  Auditor whole(stopped->settings());
  for (Auditor* auditor : {stopped.get(), &whole}) {
    auditor->recalibrated(gold, "r1", Delta{0.01});
    auditor->recalibrated(silver, "r2", Delta{0.3});
  }
  std::mt19937_64 random(9);
  std::uniform_real_distribution<double> uniform;
  for (std::uint64_t request = 0; request < 400; ++request) {
    const double u = uniform(random);
    for (const AuditKey& key : {gold, silver}) {
      if (!whole.selects(key, request)) continue;
      const double loss = key == silver ? u : u < 0.2 ? 1.0 : 0.0;
      whole.observe(key, request, loss);
      stopped->observe(key, request, loss);
      stopped = restart(*stopped);
      if (stopped->bytes() != whole.bytes() || stopped->may_release(key) != whole.may_release(key)) return false;
    }
  }
  return !whole.may_release(gold) && !whole.may_release(silver);  // both have alarmed on the way
}
std::unique_ptr<Auditor> through_bytes(const Auditor& auditor) {
  return std::unique_ptr<Auditor>(new Auditor(Auditor::parse(auditor.bytes())));
}
// Forgets the alarm: closed keys come back as if they had just been calibrated.
std::unique_ptr<Auditor> opened_again(const Auditor& auditor) {
  auto next = through_bytes(auditor);
  for (const AuditKey& key : next->keys())
    if (!next->may_release(key)) next->recalibrated(key, "restart", next->status(key).allowed);
  return next;
}
// Keeps no evidence: what had been seen is forgotten with every restart.
std::unique_ptr<Auditor> without_evidence(const Auditor& auditor) {
  auto next = std::make_unique<Auditor>(auditor.settings());
  for (const AuditKey& key : auditor.keys()) {
    const AuditStatus status = auditor.status(key);
    next->recalibrated(key, status.record, status.allowed);
  }
  return next;
}
// Writes its reals with 15 digits: the last bits are lost.
std::unique_ptr<Auditor> in_fifteen_digits(const Auditor& auditor) {
  auto state = auditor.bytes();
  const std::size_t last = state.size() - 16;  // before the number of past records
  double value = 0.0;
  std::memcpy(&value, state.data() + last, 8);
  value = std::stod([&] {
    char digits[40];
    std::snprintf(digits, sizeof digits, "%.15g", value);
    return std::string(digits);
  }());
  std::memcpy(state.data() + last, &value, 8);
  return std::unique_ptr<Auditor>(new Auditor(Auditor::parse(state)));
}

TEST(Auditor, SurvivesARestartBitForBit) { EXPECT_TRUE(survives_restarts(through_bytes)); }
TEST(Auditor, TheTestAboveCatchesForgetfulRestarts) {
  EXPECT_FALSE(survives_restarts(opened_again));
  EXPECT_FALSE(survives_restarts(without_evidence));
  EXPECT_FALSE(survives_restarts(in_fifteen_digits));
}

// ---- files ----

std::filesystem::perms mode_of(const std::filesystem::path& file) {
  return std::filesystem::status(file).permissions();
}

TEST(Auditor, ANewFileIsForItsOwnerAndAnOldOneKeepsItsPermissions) {
  using std::filesystem::perms;
  const TemporaryFolder folder;
  const auto file = folder / "state";
  const Auditor auditor(everything);
  auditor.save(file);
  EXPECT_EQ(mode_of(file), perms::owner_read | perms::owner_write);
  std::filesystem::permissions(file, perms::group_read, std::filesystem::perm_options::add);
  auditor.save(file);
  EXPECT_EQ(mode_of(file), perms::owner_read | perms::owner_write | perms::group_read);
}

TEST(Auditor, SavesToTheFileThatALinkLeadsTo) {
  const TemporaryFolder folder;
  const auto file = folder / "state", link = folder / "link", second_link = folder / "second link";
  Auditor auditor(everything);
  auditor.save(file);
  std::filesystem::create_symlink("state", link);
  std::filesystem::create_symlink(std::filesystem::absolute(link), second_link);
  auditor.recalibrated(gold, "r1", Delta{0.1});
  auditor.save(second_link);
  EXPECT_TRUE(std::filesystem::is_symlink(link) && std::filesystem::is_symlink(second_link));
  EXPECT_EQ(Auditor::load(file).bytes(), auditor.bytes());
  std::filesystem::create_symlink("turn", folder / "turn");
  EXPECT_THROW(auditor.save(folder / "turn"), std::filesystem::filesystem_error);
}

// ---- the rest ----

TEST(Auditor, RefusesWhatIsOutsideItsDomain) {
  for (const double bad : {nan, 0.0, -1.0, 1.5}) {
    EXPECT_TRUE(
        has(message_of<std::exception>([&] { Auditor(AuditSettings{.sampling_rate = bad}); }), "sampling_rate"));
    EXPECT_TRUE(
        has(message_of<std::exception>([&] { Auditor(AuditSettings{.lifetime_alpha = {bad}}); }), "lifetime_alpha"));
  }
  for (const double bad : {nan, 0.0, 0.5, HUGE_VAL, -1.0})
    EXPECT_TRUE(has(message_of<std::exception>([&] { Auditor(AuditSettings{.mean_time_to_false_drift = bad}); }),
                    "mean_time_to_false_drift"));

  EXPECT_TRUE(has(message_of<std::exception>([&] { Auditor(AuditSettings{.sampling_rate = 0.5}); }), "seed is 0, 0"));
  EXPECT_NO_THROW(Auditor(AuditSettings{.sampling_rate = 0.5, .seed = {0, 1}}));

  Auditor auditor(everything);
  const std::string longest(256, 'x'), too_long(257, 'x');
  auditor.recalibrated({longest, 0, longest}, longest, Delta{0.1});
  EXPECT_TRUE(has(message_of<std::exception>([&] {
                    auditor.recalibrated({"", 0, "c"}, "r", Delta{0.1});
                  }),
                  "the workload has 0 bytes"));
  EXPECT_TRUE(has(message_of<std::exception>([&] {
                    auditor.recalibrated({too_long, 0, ""}, "r", Delta{0.1});
                  }),
                  "257 bytes"));
  EXPECT_TRUE(has(message_of<std::exception>([&] {
                    auditor.recalibrated({"w", 0, too_long}, "r", Delta{0.1});
                  }),
                  "service class"));
  EXPECT_TRUE(has(message_of<std::exception>([&] {
                    auditor.recalibrated({"w", 0, ""}, "", Delta{0.1});
                  }),
                  "the record has 0 bytes"));
  for (const double bad : {nan, 0.0, -0.1, 1.0, 1e-13})
    EXPECT_TRUE(has(message_of<std::exception>([&] {
                      auditor.recalibrated({"w", 0, ""}, "r", Delta{bad});
                    }),
                    "the allowed rate is"));
  EXPECT_EQ(auditor.keys().size(), 1U);

  auditor.recalibrated(gold, "r1", Delta{0.1});
  const auto before = auditor.bytes();
  for (const double bad : {nan, -0.5, 1.0000001, HUGE_VAL})
    EXPECT_TRUE(has(message_of<std::exception>([&] { auditor.observe(gold, 1, bad); }), "the loss is"));
  EXPECT_EQ(auditor.bytes(), before);
}

TEST(Auditor, CountsKeys) {
  Auditor auditor(everything);
  for (std::size_t i = 0; i < Auditor::max_keys; ++i) auditor.recalibrated({"w", i, ""}, "r", Delta{0.1});
  EXPECT_TRUE(
      has(message_of<std::exception>([&] { auditor.recalibrated(gold, "r", Delta{0.1}); }), "there are 65536 keys"));
  auditor.recalibrated({"w", 7, ""}, "r2", Delta{0.1});
  EXPECT_EQ(Auditor::parse(auditor.bytes()).keys().size(), Auditor::max_keys);
}

TEST(Auditor, ThreadsMayUseItTogether) {
  Auditor auditor(everything);
  auditor.recalibrated(gold, "r1", Delta{0.5});
  std::vector<std::thread> threads;
  for (std::uint64_t t = 0; t < 4; ++t)
    threads.emplace_back([&, t] {
      for (std::uint64_t i = 0; i < 500; ++i) {
        auditor.observe(gold, 500 * t + i, 0.0);
        if (i % 100 == 0) auditor.recalibrated({"w", t, ""}, std::to_string(i), Delta{0.1});
        if (i % 50 == 0) {
          EXPECT_TRUE(refused_or_canonical(auditor.bytes()));
        }
        EXPECT_TRUE(auditor.may_release(gold));
      }
    });
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(auditor.status(gold).audited, 2000U);
  EXPECT_EQ(auditor.keys().size(), 5U);
}

}  // namespace
}  // namespace mpp::guarantees

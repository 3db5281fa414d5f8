#include <gtest/gtest.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <string>

#include "fuzz/audit_state_property.hpp"
#include "support/message_of.hpp"

// The bytes of an auditor, as somebody hostile would write them.
namespace mpp::guarantees {
namespace {

using namespace mpp::test;

constexpr double nan = std::numeric_limits<double>::quiet_NaN();

bool has(const std::string& sentence, const char* part) { return sentence.find(part) != std::string::npos; }

TEST(AuditState, EveryPrefixAndEveryChangedByteIsRefusedOrCanonical) {
  const auto state = sample_audit_state();
  ASSERT_TRUE(refused_or_canonical(state));
  for (std::size_t size = 0; size < state.size(); ++size)
    EXPECT_THROW((void)Auditor::parse(std::span(state).first(size)), FormatError) << size;
  for (std::size_t at = 0; at < state.size(); ++at)
    for (const unsigned change : {1U, 2U, 4U, 8U, 16U, 32U, 64U, 128U, 255U}) {
      auto changed = state;
      changed[at] ^= static_cast<std::byte>(change);
      EXPECT_TRUE(refused_or_canonical(changed)) << at << ' ' << change;
    }
}

// Words of the layout, as the reader meets them.
enum Word : std::size_t { magic, version, count_of_ratios, first_ratio, rate = 11, seed, alpha = 14, time, keys, size };
std::vector<std::byte> with(Word word, std::uint64_t value) {
  auto state = sample_audit_state();
  for (std::size_t i = 0; i < 8; ++i) state[8 * word + i] = static_cast<std::byte>(value >> (8 * i));
  return state;
}
std::vector<std::byte> with(Word word, double value) { return with(word, std::bit_cast<std::uint64_t>(value)); }
std::string refusal(const std::vector<std::byte>& state) {
  return message_of<std::exception>([&] { (void)Auditor::parse(state); });
}

TEST(AuditState, SaysWhatIsWrong) {
  EXPECT_TRUE(has(refusal({}), "field 'magic': came 0 bytes"));
  EXPECT_TRUE(has(refusal(with(magic, std::uint64_t{1})), "this is no audit state"));
  EXPECT_TRUE(has(refusal(with(version, std::uint64_t{1})), "field 'version': came 1, expected from 2 to 2"));
  EXPECT_TRUE(has(refusal(with(count_of_ratios, std::uint64_t{16})), "field 'alternatives': came 16"));
  EXPECT_TRUE(has(refusal(with(first_ratio, 1.5)), "field 'odds ratio': came 1.5, expected 1.25"));
  EXPECT_TRUE(has(refusal(with(rate, 0.0)), "sampling_rate is 0"));
  EXPECT_TRUE(has(refusal(with(rate, nan)), "sampling_rate is nan"));
  EXPECT_TRUE(has(refusal(with(alpha, 1.0)), "lifetime_alpha is 1"));
  EXPECT_TRUE(has(refusal(with(time, HUGE_VAL)), "mean_time_to_false_drift is inf"));
  EXPECT_TRUE(has(refusal(with(keys, std::uint64_t{1} << 60)), "field 'keys': came 1152921504606846976"));
  EXPECT_TRUE(has(refusal(with(keys, std::uint64_t{65536})), "field 'workload'"));  // there are only two
  EXPECT_TRUE(has(refusal(with(size, std::numeric_limits<std::uint64_t>::max())), "field 'workload'"));
  EXPECT_TRUE(has(refusal(with(size, std::uint64_t{0})), "expected from 1 to 256"));
  auto longer = sample_audit_state();
  longer.push_back(std::byte{0});
  EXPECT_TRUE(has(refusal(longer), "field 'end': came 1 bytes more, expected none"));
}

// Offset of the alarm of the second key, which has alarmed; after its workload, level, class, record and allowed rate.
std::size_t alarm_offset(const std::vector<std::byte>& state) {
  const std::string workload = "speech";
  const auto at = std::search(state.begin(), state.end(), workload.begin(), workload.end(),
                              [](std::byte b, char c) { return std::to_integer<char>(b) == c; });
  return static_cast<std::size_t>(at - state.begin()) + workload.size() + 8 + 8 + 8 + 2 + 8;
}

TEST(AuditState, AnOpenKeyOverEvidenceForAnAlarmIsRefused) {
  auto state = sample_audit_state();
  const std::size_t alarm = alarm_offset(state);
  ASSERT_NE(state[alarm], std::byte{0});
  state[alarm] = std::byte{0};
  EXPECT_TRUE(has(refusal(state), "field 'alarm': came none")) << refusal(state);
  state[alarm] = std::byte{3};
  EXPECT_TRUE(has(refusal(state), "field 'alarm': came 3"));
}

TEST(AuditState, MoreAuditsThanAreCountedAreRefused) {
  auto state = sample_audit_state();
  const AuditKey closed{"speech", 0, ""};
  const auto audits = [&](std::uint64_t count) {
    std::memcpy(state.data() + alarm_offset(state) + 8, &count, 8);
    return Auditor::parse(state).status(closed).audited;
  };
  EXPECT_EQ(audits(Auditor::max_audits), Auditor::max_audits);
  EXPECT_THROW((void)audits(Auditor::max_audits + 1), FormatError);
  (void)audits(Auditor::max_audits);
  Auditor auditor = Auditor::parse(state);
  std::uint64_t request = 0;
  while (!auditor.selects(closed, request)) ++request;
  EXPECT_TRUE(
      has(message_of<std::exception>([&] { auditor.observe(closed, request, 0.0); }), "expected a new calibration"));
}

}  // namespace
}  // namespace mpp::guarantees

#include <mpp/core/guarantees/record.hpp>

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <limits>
#include <random>

#include <mpp/core/guarantees/durable_file.hpp>

#include "fuzz/calibration_record_property.hpp"
#include "support/message_of.hpp"
#include "support/temporary_folder.hpp"

namespace mpp::guarantees {
namespace {

using namespace mpp::test;

constexpr double nan = std::numeric_limits<double>::quiet_NaN();
constexpr double infinity = std::numeric_limits<double>::infinity();

bool has(const std::string& sentence, const std::string& part) { return sentence.find(part) != std::string::npos; }

CalibrationRecord ratio_record(double kappa, double delta) {
  CalibrationRecord record = sample_record();
  record.method = CalibrationMethod::split_conformal;
  record.epsilon.reset();
  record.beta.reset();
  record.delta = {delta};
  record.value = kappa;
  record.k = 0.0;
  return record;
}
std::uint64_t bits(double x) { return std::bit_cast<std::uint64_t>(x); }

std::string replaced(std::string text, const std::string& from, const std::string& to) {
  const auto at = text.find(from);
  EXPECT_NE(at, std::string::npos) << from;
  return text.replace(at, from.size(), to);
}

TEST(CalibrationRecord, IsOneLineOfJson) {
  EXPECT_EQ(sample_record().json(),
            "{\"schema\":1,\"model\":\"net \\\"7\\\"\\\\\",\"kernel\":\"cpu\\u000a\\u0001\",\"estimator\":\"gap "
            "\xe2\x82\xac\","
            "\"policy\":\"ladder\\u00093\",\"workload\":\"ranking\",\"service_class\":\"\","
            "\"method\":\"fixed_sequence_binomial\",\"epsilon\":0.3333333333333333,\"delta\":0.01,\"beta\":0.05,"
            "\"threshold\":-0.10000000000000006,\"n\":473,\"k\":1,\"seed\":18446744073709551615,"
            "\"created\":\"2026-02-28T23:59:59Z\"}\n");
}

TEST(CalibrationRecord, ReadsBackToTheSameBits) {
  const CalibrationRecord written = sample_record();
  const CalibrationRecord read = CalibrationRecord::parse(written.json());
  EXPECT_EQ(read.ids, written.ids);
  EXPECT_EQ(read.method, written.method);
  EXPECT_EQ(bits(read.epsilon->value), bits(written.epsilon->value));
  EXPECT_EQ(bits(read.value), bits(written.value));
  EXPECT_EQ(read.seed, written.seed);
  EXPECT_EQ(read.created, written.created);
  EXPECT_EQ(read.id(), written.id());

  std::mt19937_64 random(3);
  for (int i = 0; i < 2000; ++i) {
    const double kappa = std::abs(std::bit_cast<double>(random()));
    const double delta = static_cast<double>(random() >> 11) * 0x1p-53;
    if (std::isnan(kappa) || delta < 0.01) continue;
    const CalibrationRecord back = CalibrationRecord::parse(ratio_record(kappa, delta).json());
    EXPECT_EQ(bits(back.value), bits(kappa));
    EXPECT_EQ(bits(back.delta.value), bits(delta));
  }
  EXPECT_EQ(CalibrationRecord::parse(ratio_record(infinity, 0.01).json()).value, infinity);
  EXPECT_EQ(bits(CalibrationRecord::parse(ratio_record(-0.0, 0.01).json()).value), bits(-0.0));
}

TEST(CalibrationRecord, ReadsEveryEscapeAndAnyOrder) {
  const std::string moved = replaced(sample_record().json(), "{\"schema\":1,", "{ \n\"seed\" : 1 , \"schema\":1,");
  const std::string once = replaced(moved, "\"seed\":18446744073709551615,", "");
  const std::string escaped = replaced(once, "\"ranking\"", R"("\u0072\b\f\n\r\t\/\"\\\u20ac\ud83d\ude00\u00e9")");
  const CalibrationRecord record = CalibrationRecord::parse(escaped);
  EXPECT_EQ(record.ids.workload, "r\b\f\n\r\t/\"\\\xe2\x82\xac\xf0\x9f\x98\x80\xc3\xa9");
  EXPECT_EQ(record.seed, 1U);
  EXPECT_TRUE(refused_or_record(escaped));
  for (const char* lone : {R"("\ud83d")", R"("\ude00")", R"("\ud83d\u0041")", R"("\ud83dx")", R"("\ud83d\ud83d")"})
    EXPECT_TRUE(
        has(message_of<FormatError>([&] { (void)CalibrationRecord::parse(replaced(once, "\"ranking\"", lone)); }),
            "surrogate"))
        << lone;
}

TEST(CalibrationRecord, RefusesWhatIsNotOneOfOurs) {
  const std::string valid = sample_record().json();
  const auto error = [&](const std::string& from, const std::string& to) {
    return message_of<FormatError>([&] { (void)CalibrationRecord::parse(replaced(valid, from, to)); });
  };
  EXPECT_EQ(error("\"schema\":1", "\"schema\":2"),
            "CalibrationRecord: line 1, field 'schema': came '2', expected schema 1");
  EXPECT_TRUE(has(error("\"schema\":1", "\"scheme\":1"), "expected no field of this name"));
  EXPECT_TRUE(has(error("\"seed\":18446744073709551615,", ""), "field 'seed': came 'no such field'"));
  EXPECT_TRUE(has(error("\"n\":473", "\"n\":473,\"n\":473"), "expected the field only once"));
  EXPECT_TRUE(has(error("\"n\":473", "\"n\":473,\"kappa\":1"), "threshold or kappa"));
  EXPECT_TRUE(has(error("\"threshold\"", "\"kappa\""), "field 'threshold': came 'no such field'"));
  EXPECT_TRUE(has(error("\"n\":473", "\"n\":-1"), "expected an integer from 0"));
  EXPECT_TRUE(has(error("\"n\":473", "\"n\":473.5"), "expected an integer from 0"));
  EXPECT_TRUE(has(error("\"n\":473", "\"n\":10000001"), "n is 10000001, expected 1 to 10000000"));
  EXPECT_TRUE(has(error("\"seed\":18446744073709551615", "\"seed\":18446744073709551616"), "field 'seed'"));
  EXPECT_TRUE(has(error("fixed_sequence_binomial", "magic"), "expected one of fixed_sequence_binomial"));
  EXPECT_TRUE(has(error("\"delta\":0.01", "\"delta\":1e999"), "a double can hold"));
  EXPECT_TRUE(has(error("\"delta\":0.01", "\"delta\":\"0.01\""), "expected a number"));
  EXPECT_TRUE(has(error("}\n", "}{"), "expected nothing after the record"));
  EXPECT_TRUE(has(error("ranking", "\xff"), "expected UTF-8"));
  for (const char* time :
       {"2026-02-29T00:00:00Z", "2026-02-28T24:00:00Z", "2026-02-28 23:59:59Z", "1969-12-31T23:59:59Z",
        "2026-02-28T23:59:60Z", "2026-02-2-T23:59:59Z", "2026-02-28T23:59:59"})
    EXPECT_TRUE(has(error("2026-02-28T23:59:59Z", time), "expected a time like")) << time;
  EXPECT_TRUE(
      has(message_of<FormatError>([] { (void)CalibrationRecord::parse(std::string(70000, ' ')); }), "at most 65536"));
  for (std::size_t size = 0; size + 1 < valid.size(); ++size)
    EXPECT_THROW((void)CalibrationRecord::parse(std::string_view(valid).substr(0, size)), FormatError) << size;
}

TEST(CalibrationRecord, RefusesNumbersThatDoNotSupportTheClaim) {
  const auto error = [](auto change, CalibrationRecord record = sample_record()) {
    change(record);
    return message_of<ValueError>([&] { record.validate(); });
  };
  using Record = CalibrationRecord;
  EXPECT_EQ(error([](Record&) {}), "no error");
  EXPECT_EQ(error([](Record& r) { r.k = 2.0; }),
            "CalibrationRecord: k is 2, expected fewer: with n = 473 it does not certify delta = 0.01");
  EXPECT_TRUE(has(error([](Record& r) { r.n = 472; }), "k is 1, expected fewer"));
  EXPECT_TRUE(has(error([](Record& r) { r.k = 0.5; }), "expected an integer"));
  EXPECT_TRUE(has(error([](Record& r) { r.k = 474.0; }), "expected from 0 to n"));
  EXPECT_TRUE(has(error([](Record& r) { r.k = nan; }), "expected from 0 to n"));
  for (const double value : {infinity, nan})
    EXPECT_TRUE(has(error([=](Record& r) { r.value = value; }), "threshold is"));
  for (const double bad : {0.0, 1.0, -0.1, nan}) {
    EXPECT_TRUE(has(error([=](Record& r) { r.delta = {bad}; }), "delta is"));
    EXPECT_TRUE(has(error([=](Record& r) { r.beta = Delta{bad}; }), "beta is"));
  }
  for (const double bad : {-0.1, infinity, nan})
    EXPECT_TRUE(has(error([=](Record& r) { r.epsilon = Epsilon{bad}; }), "epsilon is"));
  EXPECT_TRUE(has(error([](Record& r) { r.beta.reset(); }), "beta is missing"));
  EXPECT_TRUE(has(error([](Record& r) { r.epsilon.reset(); }), "epsilon is missing"));
  EXPECT_TRUE(has(error([](Record& r) { r.ids.model.clear(); }), "model has 0 bytes"));
  EXPECT_TRUE(has(error([](Record& r) { r.ids.policy.assign(257, 'x'); }), "policy has 257 bytes"));
  EXPECT_TRUE(has(error([](Record& r) { r.ids.kernel = "\x80"; }), "kernel is not UTF-8"));
  EXPECT_TRUE(has(error([](Record& r) { r.created -= std::chrono::years(100); }), "utc_text"));

  const Record ratio = ratio_record(2.0, 0.01);
  EXPECT_EQ(error([](Record& r) { r.k = 3.0; }, ratio), "no error");  // 4 of 474 may lie above: 3 and the next request
  EXPECT_TRUE(has(error([](Record& r) { r.k = 4.0; }, ratio), "k is 4, expected fewer"));
  EXPECT_TRUE(has(error([](Record& r) { r.beta = Delta{0.05}; }, ratio), "beta is given"));
  EXPECT_TRUE(has(error([](Record& r) { r.epsilon = Epsilon{1.0}; }, ratio), "epsilon is given"));
  EXPECT_TRUE(has(error([](Record& r) { r.value = -1.0; }, ratio), "kappa is -1"));
  const auto graded = [](Record& r) { r.method = CalibrationMethod::fixed_sequence_betting, r.k = 2.5; };
  EXPECT_EQ(error(graded), "no error");
  EXPECT_TRUE(has(error([&](Record& r) { graded(r), r.n = 298; }), "n is 298, expected at least 299"));
  EXPECT_EQ(error([&](Record& r) { graded(r), r.k = 473 - 299.58; }), "no error");  // ln(20) / 0.01 = 299.573...
  for (const double k : {473 - 299.57, 473.0})
    EXPECT_TRUE(has(error([&](Record& r) { graded(r), r.k = k; }), "expected less: with n = 473")) << k;
}

// What a calibration can certify is never refused: least losses first, then as many of 1 as there may be.
TEST(CalibrationRecord, AcceptsEveryGradedSumThatACalibrationCertifies) {
  int accepted = 0;
  for (const double risk : {0.05, 0.3, 0.9})
    for (const double least : {0.0, 0.01})
      for (std::size_t low = 1; low <= 100; ++low) {
        const PolicyClaim claim{.risk = {risk}, .beta = {0.05}, .kind = LossKind::graded};
        std::vector<double> losses(low, least);
        losses.resize(100, 1.0);
        const auto result = calibrate_policy(losses, std::vector<double>{0.5}, claim);
        if (!result.index) continue;
        ++accepted;
        EXPECT_NO_THROW((void)make_record(sample_record().ids, Epsilon{0.1}, claim, result, 7, {}))
            << risk << ' ' << low;
      }
  EXPECT_GT(accepted, 50);
}

TEST(CalibrationRecord, IsMadeOnlyOfWhatWasCertified) {
  const PolicyClaim claim{.risk = {0.01}, .beta = {0.05}};
  std::vector<double> losses(473, 0.0);
  losses[5] = 1.0;
  const auto certified = calibrate_policy(losses, std::vector<double>{0.5}, claim);
  const auto record = make_record(sample_record().ids, Epsilon{0.1}, claim, certified, 7, sample_record().created);
  EXPECT_EQ(record.value, 0.5);
  EXPECT_EQ(record.k, 1.0);
  EXPECT_EQ(record.method, CalibrationMethod::fixed_sequence_binomial);
  losses[6] = 1.0;
  const auto nothing = calibrate_policy(losses, std::vector<double>{0.5}, claim);
  EXPECT_TRUE(
      has(message_of<ValueError>([&] { (void)make_record(sample_record().ids, Epsilon{0.1}, claim, nothing, 7, {}); }),
          "certified no threshold"));
  for (const RatioClaim& ratio : {RatioClaim{{0.01}, {}}, RatioClaim{{0.01}, Delta{0.05}}}) {
    const auto found =
        make_record(sample_record().ids, ratio, calibrate_ratio(losses, ratio), 7, sample_record().created);
    EXPECT_TRUE(found.is_ratio());
    EXPECT_EQ(CalibrationRecord::parse(found.json()).id(), found.id());
  }
  EXPECT_THROW((void)make_record(sample_record().ids, RatioClaim{{0.01}, {}}, RatioCalibration{}, 7, {}), ValueError);
}

TEST(CalibrationRecord, NamesTheIdThatDiffers) {
  const CalibrationRecord record = sample_record();
  EXPECT_NO_THROW(expects_match(record, record.ids));
  PolicyIds running = record.ids;
  running.estimator = "other";
  EXPECT_TRUE(has(message_of<ValueError>([&] { expects_match(record, running); }),
                  "estimator is 'gap \xe2\x82\xac', what runs has 'other'"));
  for (std::string PolicyIds::*id : {&PolicyIds::model, &PolicyIds::kernel, &PolicyIds::estimator, &PolicyIds::policy,
                                     &PolicyIds::workload, &PolicyIds::service_class}) {
    running = record.ids;
    running.*id += "x";
    EXPECT_THROW(expects_match(record, running), ValueError);
  }
}

TEST(CalibrationRecord, EveryFieldIsInItsId) {
  const CalibrationRecord record = sample_record();
  const auto id = [&](auto change) {
    CalibrationRecord changed = record;
    change(changed);
    return changed.id();
  };
  EXPECT_EQ(record.id().size(), 16U);
  EXPECT_NE(id([](auto& r) { r.ids.service_class = "x"; }), record.id());
  EXPECT_NE(id([](auto& r) { r.epsilon->value = 0.25; }), record.id());
  EXPECT_NE(id([](auto& r) { r.delta.value = 0.02; }), record.id());
  EXPECT_NE(id([](auto& r) { r.beta->value = 0.06; }), record.id());
  EXPECT_NE(id([](auto& r) { r.value = std::nextafter(r.value, 0.0); }), record.id());
  EXPECT_NE(id([](auto& r) { r.n += 1; }), record.id());
  EXPECT_NE(id([](auto& r) { r.k = 0.0; }), record.id());
  EXPECT_NE(id([](auto& r) { r.seed = 1; }), record.id());
  EXPECT_NE(id([](auto& r) { r.created += std::chrono::seconds(1); }), record.id());
}

TEST(CalibrationRecord, SurvivesAFileAndNotADamagedOne) {
  const TemporaryFolder folder;
  const auto file = folder / "record.json";
  sample_record().save(file);
  EXPECT_EQ(CalibrationRecord::load(file).id(), sample_record().id());
  auto bytes = read_durably(file);
  bytes[30] = std::byte{'x'};
  write_durably(file, bytes);  // whole, but no record
  EXPECT_THROW((void)CalibrationRecord::load(file), FormatError);
  EXPECT_THROW((void)CalibrationRecord::load(folder / "none"), std::filesystem::filesystem_error);
}

TEST(CalibrationRecord, NoEditOfItIsReadAsSomethingElse) {
  const std::string valid = sample_record().json();
  std::mt19937_64 random(5);
  const std::string alphabet = "\"\\{}[]:,0123456789.eE-+nul inftrua\xff";
  for (int i = 0; i < 20000; ++i) {
    std::string edited = valid;
    for (std::uint64_t edits = 1 + random() % 3; edits > 0; --edits)
      edited[random() % edited.size()] = alphabet[random() % alphabet.size()];
    ASSERT_TRUE(refused_or_record(edited)) << edited;
  }
}

}  // namespace
}  // namespace mpp::guarantees

#include <mpp/core/guarantees/record.hpp>

#include <array>
#include <cmath>
#include <cstdio>
#include <limits>
#include <utility>

#include <mpp/core/guarantees/durable_file.hpp>
#include <mpp/core/guarantees/sample_size.hpp>
#include <mpp/core/guarantees/sampling_coin.hpp>

#include "src/guarantees/conformal_slack.hpp"
#include "src/guarantees/policy_ids.hpp"
#include "src/telemetry/json_cursor.hpp"

namespace mpp::guarantees {
namespace {

template <class... Parts>
void check(bool holds, const char* field, const Parts&... parts) {
  expects<ValueError>(holds, "CalibrationRecord: ", field, " is ", parts...);
}

void check_ids(const PolicyIds& ids) {
  for (const auto& [field, id] : id_fields) {
    const std::string& value = ids.*id;
    const std::size_t least = id == &PolicyIds::service_class ? 0 : 1;
    expects<ValueError>(value.size() >= least && value.size() <= CalibrationRecord::max_id_bytes,
                        "CalibrationRecord: ", field, " has ", value.size(), " bytes, expected ", least, " to ",
                        CalibrationRecord::max_id_bytes);
    expects<ValueError>(telemetry::is_utf8(value), "CalibrationRecord: ", field, " is not UTF-8");
  }
}

void check_value(const CalibrationRecord& record) {
  constexpr double infinity = std::numeric_limits<double>::infinity();
  if (record.is_ratio()) {
    check(record.value >= 0.0, "kappa", record.value, ", expected >= 0");
    expects<ValueError>(!record.epsilon, "CalibrationRecord: epsilon is given, expected none: a ratio leaves it free");
    return;
  }
  check(record.value < infinity, "threshold", record.value, ", expected a number below infinity");
  expects<ValueError>(record.epsilon.has_value(), "CalibrationRecord: epsilon is missing, expected that of the policy");
  check(record.epsilon->value >= 0.0 && record.epsilon->value < infinity, "epsilon", record.epsilon->value,
        ", expected in [0, infinity)");
}

// The claim must follow from n and k. For graded losses, whose order is not kept, it must be possible: a loss L multiplies
// the wealth by at most 1 + (risk - L) if L < risk, whose logarithm is at most risk (1 - L), and else by at most 1. So a
// wealth of 1 / beta takes (n - k) risk >= ln(1 / beta). The sum k has been rounded, hence the slack.
void check_support(const CalibrationRecord& record) {
  const double n = static_cast<double>(record.n);
  check(record.k >= 0.0 && record.k <= n, "k", record.k, ", expected from 0 to n = ", record.n);
  if (record.method == CalibrationMethod::fixed_sequence_betting) {
    const std::uint64_t needed = minimum_samples(record.delta, *record.beta);
    check(record.n >= needed, "n", record.n, ", expected at least ", needed);
    check((n - record.k) * record.delta.value >= -std::log(record.beta->value) * (1.0 - 0x1p-30), "k", record.k,
          ", expected less: with n = ", record.n, " no losses of that sum certify delta = ", record.delta.value);
    return;
  }
  check(record.k == std::floor(record.k), "k", record.k, ", expected an integer");
  const auto k = static_cast<std::uint64_t>(record.k);
  const bool supported = record.method == CalibrationMethod::split_conformal
                             ? k < conformal_slack(record.n, record.delta.value)
                             : binomial_p({k, record.n}, record.delta.value) <= record.beta->value;
  check(supported, "k", record.k, ", expected fewer: with n = ", record.n,
        " it does not certify delta = ", record.delta.value);
}

}  // namespace

std::string_view name(CalibrationMethod method) noexcept {
  constexpr std::array<std::string_view, 4> names{"fixed_sequence_binomial", "fixed_sequence_betting",
                                                  "split_conformal", "tolerance_rank"};
  return names[static_cast<std::size_t>(method)];
}

void CalibrationRecord::validate() const {
  check_ids(ids);
  check(delta.value > 0.0 && delta.value < 1.0, "delta", delta.value, ", expected in (0, 1)");
  const bool has_beta = method != CalibrationMethod::split_conformal;
  expects<ValueError>(beta.has_value() == has_beta, "CalibrationRecord: beta is ", has_beta ? "missing" : "given",
                      ", expected ", has_beta ? "a number" : "none", " for ", guarantees::name(method));
  if (beta) check(beta->value > 0.0 && beta->value < 1.0, "beta", beta->value, ", expected in (0, 1)");
  check(n >= 1 && n <= max_requests, "n", n, ", expected 1 to ", max_requests);
  check_value(*this);
  check_support(*this);
  static_cast<void>(utc_text(created));
}

void CalibrationRecord::save(const std::filesystem::path& file) const {
  const std::string content = json();
  write_durably(file, std::as_bytes(std::span<const char>(content)));
}

CalibrationRecord CalibrationRecord::load(const std::filesystem::path& file) {
  const auto bytes = read_durably(file);
  return parse({reinterpret_cast<const char*>(bytes.data()), bytes.size()});
}

std::string CalibrationRecord::id() const {
  const std::string content = json();
  constexpr Seed fixed{};  // a checksum, not a secret
  char digits[17];
  std::snprintf(digits, sizeof digits, "%016llx",
                static_cast<unsigned long long>(siphash(fixed, std::as_bytes(std::span<const char>(content)))));
  return digits;
}

CalibrationRecord make_record(const PolicyIds& ids, Epsilon epsilon, const PolicyClaim& claim,
                              const PolicyCalibration& calibration, std::uint64_t seed,
                              std::chrono::sys_seconds created) {
  expects<ValueError>(calibration.index.has_value(),
                      "make_record: the calibration certified no threshold, expected one");
  CalibrationRecord record{.ids = ids,
                           .method = claim.kind == LossKind::binary ? CalibrationMethod::fixed_sequence_binomial
                                                                    : CalibrationMethod::fixed_sequence_betting,
                           .epsilon = epsilon,
                           .delta = claim.risk,
                           .beta = claim.beta,
                           .value = calibration.threshold,
                           .n = calibration.n,
                           .k = calibration.loss,
                           .seed = seed,
                           .created = created};
  record.validate();
  return record;
}

CalibrationRecord make_record(const PolicyIds& ids, const RatioClaim& claim, const RatioCalibration& calibration,
                              std::uint64_t seed, std::chrono::sys_seconds created) {
  expects<ValueError>(calibration.rank >= 1 && calibration.rank <= calibration.n, "make_record: rank is ",
                      calibration.rank, ", expected 1 to n = ", calibration.n);
  CalibrationRecord record{
      .ids = ids,
      .method = claim.beta ? CalibrationMethod::tolerance_rank : CalibrationMethod::split_conformal,
      .epsilon = std::nullopt,
      .delta = claim.risk,
      .beta = claim.beta,
      .value = calibration.kappa,
      .n = calibration.n,
      .k = static_cast<double>(calibration.n - calibration.rank),
      .seed = seed,
      .created = created};
  record.validate();
  return record;
}

void expects_match(const CalibrationRecord& record, const PolicyIds& running) {
  for (const auto& [field, id] : id_fields)
    expects<ValueError>(record.ids.*id == running.*id, "CalibrationRecord: ", field, " is '", record.ids.*id,
                        "', what runs has '", running.*id, "': the calibration does not hold for it");
}

}  // namespace mpp::guarantees

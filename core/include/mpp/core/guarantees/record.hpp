#pragma once
#include <chrono>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>

#include <mpp/core/guarantees/calibrate.hpp>

namespace mpp::guarantees {

/// What a calibration holds for, and nothing else: names or hashes that change whenever the thing changes. UTF-8, 1 to 256
/// bytes each; the service class may be empty.
struct PolicyIds {
  std::string model;
  std::string kernel;     ///< build and device, as far as they change results
  std::string estimator;  ///< the signal
  std::string policy;     ///< levels, where a request starts, what else may release it
  std::string workload;
  std::string service_class;  ///< the population: whose requests

  bool operator==(const PolicyIds&) const = default;
};

enum class CalibrationMethod : std::uint8_t {
  fixed_sequence_binomial,  ///< calibrate_policy, 0/1 losses
  fixed_sequence_betting,   ///< calibrate_policy, graded losses: a mean, not a probability
  split_conformal,          ///< calibrate_ratio without beta
  tolerance_rank,           ///< calibrate_ratio with beta
};
[[nodiscard]] std::string_view name(CalibrationMethod method) noexcept;

/// A certified calibration, to keep and to show: one JSON object of schema `schema`, whose numbers read back to the same
/// bits. Its own numbers must support its claim, or it is refused.
struct CalibrationRecord {
  static constexpr std::uint64_t schema = 1;
  static constexpr std::uint64_t max_requests = 10'000'000;
  static constexpr std::size_t max_id_bytes = 256;
  static constexpr std::size_t max_json_bytes = std::size_t{1} << 16;

  PolicyIds ids;
  CalibrationMethod method = CalibrationMethod::fixed_sequence_binomial;
  std::optional<Epsilon> epsilon;  ///< violated above it; none for a ratio, which leaves it free
  Delta delta;                     ///< the risk, in (0, 1)
  std::optional<Delta> beta;       ///< of the calibration, no part of delta; none for split_conformal
  double value = 0.0;              ///< the threshold of a policy, below infinity; kappa of a ratio, in [0, infinity]
  std::uint64_t n = 0;             ///< requests
  double k = 0.0;                  ///< sum of the losses (violations); for a ratio, requests above the rank of kappa
  std::uint64_t seed = 0;          ///< of the draw of the requests
  std::chrono::sys_seconds created{};  ///< UTC, years 1970 to 9999

  [[nodiscard]] bool is_ratio() const noexcept { return method >= CalibrationMethod::split_conformal; }

  /// @throws ValueError naming the field, if it is outside its domain or n and k do not certify delta at beta; for graded
  ///         losses, whose order the record does not keep: if no n losses of sum k can
  void validate() const;

  /// One line of JSON. @throws ValueError as validate()
  [[nodiscard]] std::string json() const;
  /// Reads what json() wrote; fields in any order, white space where JSON has it. Safe on any input.
  /// @throws FormatError naming the field, what came and what was expected; also for a field of no schema of ours
  [[nodiscard]] static CalibrationRecord parse(std::string_view json);

  /// Replaces the file so that a crash leaves the old record or the new one (durable_file.hpp).
  void save(const std::filesystem::path& file) const;
  /// @throws FormatError for a damaged file; std::filesystem::filesystem_error if there is none
  [[nodiscard]] static CalibrationRecord load(const std::filesystem::path& file);

  /// 16 hexadecimal digits, a checksum of json(): for the auditor and for logs. No protection against intent.
  [[nodiscard]] std::string id() const;
};

/// The record of what calibrate_policy() certified for results whose error is above epsilon.
/// @throws ValueError if nothing was certified: there is nothing to keep
[[nodiscard]] CalibrationRecord make_record(const PolicyIds& ids, Epsilon epsilon, const PolicyClaim& claim,
                                            const PolicyCalibration& calibration, std::uint64_t seed,
                                            std::chrono::sys_seconds created);
/// The record of what calibrate_ratio() found.
[[nodiscard]] CalibrationRecord make_record(const PolicyIds& ids, const RatioClaim& claim,
                                            const RatioCalibration& calibration, std::uint64_t seed,
                                            std::chrono::sys_seconds created);

/// @throws ValueError with a sentence that names the first id that differs: the calibration is void for what runs
void expects_match(const CalibrationRecord& record, const PolicyIds& running);

/// "2026-01-31T09:05:00Z". @throws ValueError outside the years 1970 to 9999
[[nodiscard]] std::string utc_text(std::chrono::sys_seconds time);

}  // namespace mpp::guarantees

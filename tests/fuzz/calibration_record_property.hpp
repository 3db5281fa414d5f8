#pragma once
#include <chrono>
#include <string>
#include <string_view>

#include <mpp/core/error.hpp>
#include <mpp/core/guarantees/record.hpp>

namespace mpp::test {

/// What holds for any bytes: they are refused with a FormatError, or they are a record that survives being written and
/// read, and whose id is that of what it was read from.
/// @return false if not; any other exception passes through
inline bool refused_or_record(std::string_view bytes) {
  using guarantees::CalibrationRecord;
  CalibrationRecord record;
  try {
    record = CalibrationRecord::parse(bytes);
  } catch (const FormatError&) {
    return true;
  }
  const std::string written = record.json();
  const CalibrationRecord again = CalibrationRecord::parse(written);
  return again.json() == written && again.id() == record.id();
}

/// Names that need escapes and numbers that need all their digits.
inline guarantees::CalibrationRecord sample_record() {
  using namespace guarantees;
  return {.ids = {"net \"7\"\\", "cpu\n\x01", "gap \xe2\x82\xac", "ladder\t3", "ranking", ""},
          .method = CalibrationMethod::fixed_sequence_binomial,
          .epsilon = Epsilon{1.0 / 3.0},
          .delta = Delta{0.01},
          .beta = Delta{0.05},
          .value = -0.1 - 0x1p-54,
          .n = 473,
          .k = 1.0,
          .seed = 18446744073709551615U,
          .created = std::chrono::sys_days(std::chrono::year(2026) / 2 / 28) + std::chrono::seconds(86399)};
}

}  // namespace mpp::test

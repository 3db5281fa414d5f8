#pragma once
#include <array>
#include <bit>
#include <cstdint>
#include <sstream>
#include <string>
#include <string_view>

#include <mpp/core/error.hpp>
#include <mpp/core/telemetry/trace_reader.hpp>

namespace mpp::test {

inline std::string to_line(const TraceRecord& record) {
  std::array<char, max_trace_line> buffer;
  return std::string(write_line(record, buffer));
}

/// Equal to the last bit; all NaN are one value, "no bound".
inline bool same_bits(double a, double b) {
  return (a != a && b != b) || std::bit_cast<std::uint64_t>(a) == std::bit_cast<std::uint64_t>(b);
}
inline bool same(const TraceRecord& a, const TraceRecord& b) {
  const TraceStep &x = a.step, &y = b.step;
  return a.unix_time_us == b.unix_time_us && x.request == y.request && x.level == y.level && x.decision == y.decision &&
         x.held == y.held && x.increment == y.increment && x.bound.kind() == y.bound.kind() &&
         same_bits(x.bound.value(), y.bound.value()) && same_bits(x.bound.delta().value, y.bound.delta().value) &&
         same_bits(x.elapsed_us, y.elapsed_us);
}

/// What holds for any input: it is refused with a FormatError, or every record of it survives being written and read.
/// @return false if a record did not survive; any other exception passes through
inline bool refused_or_survives(std::string_view input) {
  std::istringstream in{std::string(input)};
  bool survives = true;
  try {
    read_trace(in,
               [&](const TraceRecord& record) { survives = survives && same(parse_line(to_line(record)), record); });
  } catch (const FormatError&) {
  }
  return survives;
}

}  // namespace mpp::test

#pragma once
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include <mpp/core/control/trace.hpp>

namespace mpp {

/// Version of the line schema in docs/telemetry.md. It changes when a field changes its meaning or goes away.
inline constexpr std::uint64_t trace_schema = 1;

/// One decision together with the wall-clock time at which it was written down.
struct TraceRecord {
  std::int64_t unix_time_us = 0;  ///< microseconds since 1970-01-01 UTC
  TraceStep step{};
};

/// Longest line that write_line() makes, the line feed included.
inline constexpr std::size_t max_trace_line = 768;

/// Writes `record` as one line of JSON with a line feed at its end. Numbers read back to the same bits.
/// Allocates nothing.
///
/// @param buffer  at least max_trace_line characters
/// @return        the written part of `buffer`
/// @throws        ShapeError if the buffer is too small
std::string_view write_line(const TraceRecord& record, std::span<char> buffer);

/// One JSON object, with or without white space around it. Fields may come in any order; unknown ones are checked to be
/// JSON and skipped. Safe on any input: time linear in the line, memory constant, nesting limited to 16.
/// @throws FormatError naming `line_number`, the field and what was expected
TraceRecord parse_line(std::string_view line, std::uint64_t line_number = 1);

}  // namespace mpp

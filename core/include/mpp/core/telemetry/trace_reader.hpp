#pragma once
#include <functional>
#include <istream>
#include <vector>

#include <mpp/core/telemetry/trace_record.hpp>

namespace mpp {

/// Longest line that the reader accepts; what follows is not read, so a hostile file cannot fill the memory.
inline constexpr std::size_t max_read_line = 64 * 1024;

/// Hands every record of a JSON-lines trace to `each`, in the order of the file. Blank lines are skipped; the last line
/// needs no line feed.
/// @throws FormatError naming the line, the field and what was expected; the records before it have been handed over
void read_trace(std::istream& in, const std::function<void(const TraceRecord&)>& each);

/// All records of a trace.
/// @throws FormatError as above
[[nodiscard]] std::vector<TraceRecord> read_trace(std::istream& in);

}  // namespace mpp

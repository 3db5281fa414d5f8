#include <mpp/core/telemetry/trace_reader.hpp>

#include <mpp/core/error.hpp>

namespace mpp {
namespace {

// std::getline with a limit. @return false at the end of the file
bool next_line(std::streambuf& in, std::string& line, std::uint64_t line_number) {
  using Traits = std::streambuf::traits_type;
  line.clear();
  for (auto c = in.sbumpc();; c = in.sbumpc()) {
    if (Traits::eq_int_type(c, Traits::eof())) return !line.empty();
    if (Traits::to_char_type(c) == '\n') return true;
    expects<FormatError>(line.size() < max_read_line, "read_trace: line ", line_number, ": longer than ", max_read_line,
                         " characters");
    line.push_back(Traits::to_char_type(c));
  }
}

}  // namespace

void read_trace(std::istream& in, const std::function<void(const TraceRecord&)>& each) {
  expects<FormatError>(in.good() && in.rdbuf() != nullptr, "read_trace: the stream cannot be read");
  std::string line;
  for (std::uint64_t number = 1; next_line(*in.rdbuf(), line, number); ++number)
    if (line.find_first_not_of(" \t\r") != std::string::npos) each(parse_line(line, number));
}

std::vector<TraceRecord> read_trace(std::istream& in) {
  std::vector<TraceRecord> records;
  read_trace(in, [&](const TraceRecord& record) { records.push_back(record); });
  return records;
}

}  // namespace mpp

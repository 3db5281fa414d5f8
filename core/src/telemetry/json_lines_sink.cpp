#include <mpp/core/telemetry/json_lines_sink.hpp>

#include <array>
#include <chrono>

#include <mpp/core/error.hpp>
#include <mpp/core/telemetry/trace_record.hpp>

namespace mpp {

// Streams report by state or by exception, as their owner has chosen; both end here. Called under the mutex.
template <class Write>
bool JsonLinesSink::attempt(Write write) noexcept {
  if (failed_) return false;
  try {
    write();
    failed_ = !out_.good();
  } catch (...) {
    failed_ = true;
  }
  return !failed_;
}

void JsonLinesSink::record(const TraceStep& step) noexcept {
  const std::scoped_lock lock(mutex_);  // before the clock is read: time stamps ascend in the file
  const bool ok = attempt([&] {
    const auto now = std::chrono::system_clock::now().time_since_epoch();
    std::array<char, max_trace_line> buffer;
    const auto line = write_line({std::chrono::duration_cast<std::chrono::microseconds>(now).count(), step}, buffer);
    out_.write(line.data(), static_cast<std::streamsize>(line.size()));
  });
  ++(ok ? written_ : dropped_);
}

bool JsonLinesSink::flush() noexcept {
  const std::scoped_lock lock(mutex_);
  return attempt([&] { out_.flush(); });
}

bool JsonLinesSink::good() const noexcept {
  const std::scoped_lock lock(mutex_);
  return !failed_;
}

std::string JsonLinesSink::error() const {
  const std::scoped_lock lock(mutex_);
  if (!failed_) return {};
  return text("JsonLinesSink: the stream failed after ", written_, " lines, ", dropped_, " lines were dropped");
}

}  // namespace mpp

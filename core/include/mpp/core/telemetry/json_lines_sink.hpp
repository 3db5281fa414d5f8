#pragma once
#include <cstdint>
#include <mutex>
#include <ostream>
#include <string>

#include <mpp/core/control/trace.hpp>

namespace mpp {

/// Writes each decision as one line of JSON (docs/telemetry.md). Thread-safe: lines of concurrent sessions never mix.
///
/// Borrows the stream and is its only writer while sessions run. record() allocates nothing and never throws: after a
/// failed write it stops, so that at most the last line is damaged, and counts what it has dropped.
///
///   std::ofstream file("trace.jsonl");
///   JsonLinesSink sink(file);
///   Controller controller(tier, estimator, ledger.root(), &sink);
///   ...
///   if (!sink.flush()) complain(sink.error());
class JsonLinesSink final : public TraceSink {
 public:
  explicit JsonLinesSink(std::ostream& out) : out_(out) {}

  void record(const TraceStep& step) noexcept override;

  /// Pushes buffered lines out. @return good()
  bool flush() noexcept;
  /// False once a write has failed. A stream with a buffer may notice only when it is flushed.
  [[nodiscard]] bool good() const noexcept;
  /// Empty while good(), else one sentence that says how many lines were written and dropped.
  [[nodiscard]] std::string error() const;

 private:
  template <class Write>
  bool attempt(Write write) noexcept;

  std::ostream& out_;
  mutable std::mutex mutex_;
  bool failed_ = false;
  std::uint64_t written_ = 0;
  std::uint64_t dropped_ = 0;
};

}  // namespace mpp

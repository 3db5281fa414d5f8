#pragma once
#include <array>
#include <atomic>
#include <cstdint>

#include <mpp/core/control/trace.hpp>

namespace mpp {

/// Counts decisions as they are made and passes them on. Thread-safe, lock-free, allocates nothing.
///
///   Counters counters(&json_lines);  // or no second sink
///   Controller controller(tier, estimator, ledger.root(), &counters);
class Counters final : public TraceSink {
 public:
  static constexpr std::size_t histogram_size = 16;

  struct Snapshot {
    std::array<std::uint64_t, 4> decisions{};  ///< by Decision
    std::array<std::uint64_t, histogram_size>
        released_at{};  ///< releases by level; the last one counts those above too
    Footprint peak{};   ///< most bytes that any one request held, per space

    std::uint64_t operator[](Decision decision) const noexcept { return decisions[static_cast<std::size_t>(decision)]; }
  };

  explicit Counters(TraceSink* next = nullptr) noexcept : next_(next) {}

  void record(const TraceStep& step) noexcept override;

  /// Exact when no session runs; while some do, each number is right but they may be of different moments.
  [[nodiscard]] Snapshot snapshot() const noexcept;

 private:
  TraceSink* next_;
  std::array<std::atomic<std::uint64_t>, 4> decisions_{};
  std::array<std::atomic<std::uint64_t>, histogram_size> released_at_{};
  std::array<std::atomic<std::uint64_t>, memory_spaces.size()> peak_{};
};

}  // namespace mpp

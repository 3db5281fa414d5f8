#include <mpp/core/telemetry/counters.hpp>

#include <algorithm>

namespace mpp {

void Counters::record(const TraceStep& step) noexcept {
  decisions_[static_cast<std::size_t>(step.decision)].fetch_add(1, std::memory_order_relaxed);
  if (step.decision == Decision::release)
    released_at_[std::min<Level>(step.level, histogram_size - 1)].fetch_add(1, std::memory_order_relaxed);
  for (std::size_t space = 0; space < peak_.size(); ++space) {
    const std::uint64_t held = step.held.per_space[space].count;
    std::uint64_t peak = peak_[space].load(std::memory_order_relaxed);
    while (peak < held && !peak_[space].compare_exchange_weak(peak, held, std::memory_order_relaxed)) {
    }
  }
  if (next_ != nullptr) next_->record(step);
}

Counters::Snapshot Counters::snapshot() const noexcept {
  Snapshot s;
  for (std::size_t i = 0; i < decisions_.size(); ++i) s.decisions[i] = decisions_[i].load(std::memory_order_relaxed);
  for (std::size_t i = 0; i < histogram_size; ++i) s.released_at[i] = released_at_[i].load(std::memory_order_relaxed);
  for (std::size_t i = 0; i < peak_.size(); ++i) s.peak.per_space[i] = {peak_[i].load(std::memory_order_relaxed)};
  return s;
}

}  // namespace mpp

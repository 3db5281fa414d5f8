#pragma once
#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include <mpp/core/control/bound.hpp>
#include <mpp/core/control/tier.hpp>
#include <mpp/core/memory/footprint.hpp>

namespace mpp {

/// What the loop decided after one level.
enum class Decision : std::uint8_t {
  release,   ///< the bound is within epsilon: the result is certified
  escalate,  ///< the bound is not within epsilon: the next level follows
  deny,      ///< the ledger had no room for the level; nothing changed
  refuse,    ///< the exact level has run, but a look below it overdrew its share of delta: nothing is certified
};

constexpr std::string_view name(Decision decision) noexcept {
  constexpr std::array<std::string_view, 4> names{"release", "escalate", "deny", "refuse"};
  return names[static_cast<std::size_t>(decision)];
}

/// One decision of one request.
struct TraceStep {
  std::uint64_t request{};  ///< number of the request within its controller
  Level level{};
  Decision decision{};
  Footprint held{};       ///< bytes the request holds after the decision
  Footprint increment{};  ///< bytes the level added, or would have added when denied
  ErrorBound bound{};     ///< its delta is what the run has spent up to here; none when denied
  double elapsed_us{};    ///< materialise (an equal part of a batch's), execute and bound; 0 when denied
};

/// Receives every decision as it is made; a denial that a retry only repeats is not a new one. Called from the thread
/// that advances the session; must not throw.
class TraceSink {
 public:
  virtual ~TraceSink() = default;
  virtual void record(const TraceStep& step) noexcept = 0;
};

}  // namespace mpp

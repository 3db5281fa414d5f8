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
  release,   ///< the bound is within epsilon, or the level is exact
  escalate,  ///< the bound is not within epsilon: the next level follows
  deny,      ///< the ledger had no room for the level; nothing changed
};

constexpr std::string_view name(Decision decision) noexcept {
  constexpr std::array<std::string_view, 3> names{"release", "escalate", "deny"};
  return names[static_cast<std::size_t>(decision)];
}

/// One decision of one request.
struct TraceStep {
  std::uint64_t request{};  ///< number of the request within its controller
  Level level{};
  Decision decision{};
  Footprint held{};       ///< bytes the request holds after the decision
  Footprint increment{};  ///< bytes the level added, or would have added when denied
  ErrorBound bound{};     ///< as returned by the estimator; none when denied
  double elapsed_us{};    ///< time of materialise, execute and bound of this level
};

/// Receives every decision as it is made. Called from the thread that advances the session; must not throw.
class TraceSink {
 public:
  virtual ~TraceSink() = default;
  virtual void record(const TraceStep& step) noexcept = 0;
};

}  // namespace mpp

#pragma once
#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory_resource>
#include <span>
#include <stdexcept>
#include <vector>

#include <mpp/core/control/tier.hpp>

// Small tiers that do as they are told: what a session does with them is then visible in the result.
namespace mpp::test {

struct Ask {
  std::uint64_t id = 0;
  Bytes per_level{100};
};

/// What was asked and which levels the state held when it was answered.
struct Answer {
  std::uint64_t id = 0;
  std::vector<Level> levels;
  friend bool operator==(const Answer&, const Answer&) = default;
};

enum class Step { none, increment, materialise, execute, bound };

/// Throws std::runtime_error in one step of one level.
struct Fault {
  Step step = Step::none;
  Level level = 0;

  void at(Step s, Level l) const {
    if (s == step && l == level) throw std::runtime_error("fault");
  }
};

/// `level_count` levels of Ask::per_level host bytes each.
struct LadderTier {
  using Request = Ask;
  struct State {
    std::uint64_t id = 0;
    std::vector<Level> levels;
  };
  using Result = Answer;

  std::size_t level_count = 3;
  Fault fault{};

  std::size_t levels() const { return level_count; }
  Footprint footprint(const Ask& ask, Level level) const { return Footprint::host(ask.per_level * (level + 1)); }
  Footprint increment(const Ask& ask, const State& state, Level level) const {
    fault.at(Step::increment, level);
    return Footprint::host(ask.per_level * (level + 1 - state.levels.size()));
  }
  void materialise(const Ask& ask, State& state, Level level) const {
    fault.at(Step::materialise, level);
    state.id = ask.id;
    while (state.levels.size() <= level) state.levels.push_back(state.levels.size());
  }
  Answer execute(const Ask&, const State& state, Level level) const {
    fault.at(Step::execute, level);
    return {state.id, state.levels};
  }
};

/// A ladder whose pilot proposes a level, sensible or not.
struct StartingLadder : LadderTier {
  Level proposal = 0;
  Level first_level(const Ask&) const { return proposal; }
};

/// A ladder that materialises many states in one pass. `confuses_states` is the broken twin.
struct BatchLadder : LadderTier {
  bool confuses_states = false;
  mutable std::vector<std::size_t> batches{};  ///< size of every batch so far

  void materialise_batch(std::span<const BatchItem<BatchLadder>> items, Level level) const {
    batches.push_back(items.size());
    for (const auto& item : items)
      materialise(confuses_states ? *items.front().request : *item.request, *item.state, level);
  }
};

/// Claims `claimed` bytes a level, but asks for `asked`.
struct OverclaimingTier : LadderTier {
  Bytes asked{101};
  Footprint increment(const Ask&, const State&, Level) const { return Footprint::host(asked); }
};

/// Keeps its levels in memory of the reservation: `stored` bytes where increment() promised Ask::per_level.
struct StoredTier {
  using Request = Ask;
  struct State {
    using Plane = std::pmr::vector<std::byte>;
    explicit State(std::pmr::memory_resource* resource) : planes{Plane(resource), Plane(resource)} {}
    std::array<Plane, 2> planes;
  };
  using Result = std::size_t;  ///< bytes stored

  Bytes stored{100};

  std::size_t levels() const { return 2; }
  Footprint footprint(const Ask& ask, Level level) const { return Footprint::host(ask.per_level * (level + 1)); }
  Footprint increment(const Ask& ask, const State&, Level) const { return Footprint::host(ask.per_level); }
  void materialise(const Ask&, State& state, Level level) const { state.planes[level].resize(stored.count); }
  std::size_t execute(const Ask&, const State& state, Level) const {
    return state.planes[0].size() + state.planes[1].size();
  }
};

/// Says what the test tells it to say, for any tier.
struct Scripted {
  std::function<ErrorBound(Level, Delta)> script = [](Level, Delta) { return ErrorBound::none(); };
  Fault fault{};

  template <class Request, class State, class Result>
  ErrorBound bound(const Request&, const State&, const Result&, Level level, Delta share) const {
    fault.at(Step::bound, level);
    return script(level, share);
  }
};

/// Returns `first` at level 0 and no bound above it.
inline Scripted only_at_level_0(ErrorBound first) {
  return {[first](Level level, Delta) { return level == 0 ? first : ErrorBound::none(); }};
}

}  // namespace mpp::test

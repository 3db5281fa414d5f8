#pragma once
#include <concepts>
#include <cstddef>
#include <memory_resource>
#include <span>
#include <type_traits>

#include <mpp/core/control/bound.hpp>
#include <mpp/core/memory/footprint.hpp>

namespace mpp {

/// Index of a precision level; 0 is the cheapest, the last one is exact.
using Level = std::size_t;

/// A state that takes its memory from the resource it is constructed with. Nothing is reserved yet at that moment, so
/// the constructor itself must not allocate.
// A type that takes any pointer (std::any, bool) does not mean the resource. An aggregate would take it as its first
// member with one compiler and not with another, so it has to say what it means with a constructor.
template <class S>
concept ResourceState = std::constructible_from<S, std::pmr::memory_resource*> && !std::constructible_from<S, void*> &&
                        !std::is_aggregate_v<S>;

/// What one workload keeps at each precision.
///
/// Request  what the caller asks; views only, it must outlive the session
/// State    what has been materialised so far. A ResourceState (explicit State(std::pmr::memory_resource*)): then every
///          byte it allocates is checked against the reservation. Or default constructible: then nothing is checked
/// Result   what execute() returns; owns its memory, because it outlives the state
///
/// footprint(r, l)     claim: upper bound of the total bytes up to level l, known before anything runs, non-decreasing
/// increment(r, s, l)  exact bytes that level l adds to *this* state; the sum over the levels never exceeds the claim;
///                     a session refuses one that does
/// materialise(r,s,l)  adds level l to the state (and the levels below it that are still missing)
/// execute(r, s, l)    the result at level l; at the last level it is exact by definition
///
/// What a tier leaves out at a higher level (partial escalation) may rest on deterministic bounds, or on randomized
/// ones that the estimator reports with their delta; never on a calibrated bound, which the exact level does not repay.
template <class T>
concept Tier = requires(const T& tier, const typename T::Request& request, typename T::State& state, Level level) {
  requires std::default_initializable<typename T::State> || ResourceState<typename T::State>;
  { tier.levels() } -> std::same_as<std::size_t>;
  { tier.footprint(request, level) } -> std::same_as<Footprint>;
  { tier.increment(request, state, level) } -> std::same_as<Footprint>;
  { tier.materialise(request, state, level) } -> std::same_as<void>;
  { tier.execute(request, state, level) } -> std::same_as<typename T::Result>;
};

/// A tier whose pilot proposes where to start (for example, a pool whose 1-bit plane separates nothing).
/// The proposal is a heuristic: it orders work and never releases anything.
template <class T>
concept StartingTier = Tier<T> && requires(const T& tier, const typename T::Request& request) {
  { tier.first_level(request) } -> std::same_as<Level>;
};

/// One request of a batch, with the state it is materialised into.
// Not constrained by Tier<T>: a tier names it inside its own class, where it is not complete and no Tier yet.
template <class T>
struct BatchItem {
  const typename T::Request* request;
  typename T::State* state;
};

/// A tier that can materialise the same level of many requests in one pass over shared memory.
template <class T>
concept BatchTier = Tier<T> && requires(const T& tier, std::span<const BatchItem<T>> items, Level level) {
  { tier.materialise_batch(items, level) } -> std::same_as<void>;
};

/// Returns an upper bound on the error of `result` against the exact level; ErrorBound::none() if it has none.
/// Not asked about the last level, whose error is 0.
///
/// `share` is the probability this look may spend; deterministic and calibrated estimators ignore it. A randomized
/// look reports the delta it has spent even when it found no bound (randomized(NaN, delta)). Reporting more than
/// `share` voids the whole run, because what the look has pruned stays pruned. A calibrated bound whose delta is above
/// the caller's is passed over.
template <class E, class T>
concept EstimatorFor =
    Tier<T> && requires(const E& estimator, const typename T::Request& request, const typename T::State& state,
                        const typename T::Result& result, Level level, Delta share) {
      { estimator.bound(request, state, result, level, share) } -> std::same_as<ErrorBound>;
    };

/// The smallest tier: two levels that store nothing and return their own index.
struct ArchetypeTier {
  struct Request {};
  struct State {};
  using Result = Level;

  std::size_t levels() const { return 2; }
  Footprint footprint(const Request&, Level) const { return {}; }
  Footprint increment(const Request&, const State&, Level) const { return {}; }
  void materialise(const Request&, State&, Level) const {}
  Result execute(const Request&, const State&, Level level) const { return level; }
};

/// The smallest estimator: it knows nothing, so only the exact level is released.
struct ArchetypeEstimator {
  ErrorBound bound(const ArchetypeTier::Request&, const ArchetypeTier::State&, const ArchetypeTier::Result&, Level,
                   Delta) const {
    return ErrorBound::none();
  }
};
static_assert(Tier<ArchetypeTier> && EstimatorFor<ArchetypeEstimator, ArchetypeTier>);

}  // namespace mpp

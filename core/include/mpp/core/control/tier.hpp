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

/// What one workload keeps at each precision.
///
/// Request  what the caller asks; views only, it must outlive the session
/// State    what has been materialised so far. Default constructible, or constructible from a
///          `std::pmr::memory_resource*`: then every byte it allocates is checked against the reservation
/// Result   what execute() returns
///
/// footprint(r, l)     claim: upper bound of the total bytes up to level l, known before anything runs, non-decreasing in l
/// increment(r, s, l)  exact bytes that level l adds to *this* state; the sum over the levels never exceeds the claim
/// materialise(r,s,l)  adds level l to the state (and the levels below it that are still missing)
/// execute(r, s, l)    the result at level l; at the last level it is exact by definition
template <class T>
concept Tier = requires(const T& tier, const typename T::Request& request, typename T::State& state, Level level) {
  requires std::default_initializable<typename T::State> ||
               std::constructible_from<typename T::State, std::pmr::memory_resource*>;
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
template <Tier T>
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
/// `share` is the probability this look may spend; deterministic estimators ignore it.
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

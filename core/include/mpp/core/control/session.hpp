#pragma once
#include <algorithm>
#include <chrono>
#include <concepts>
#include <cstdint>
#include <optional>
#include <utility>

#include <mpp/core/control/outcome.hpp>
#include <mpp/core/control/target.hpp>
#include <mpp/core/control/tier.hpp>
#include <mpp/core/control/trace.hpp>
#include <mpp/core/memory/reservation.hpp>
#include <mpp/core/memory/resource.hpp>

namespace mpp {

/// One request on its way up the ladder. Made by Controller::start; the tier, the estimator and the request must
/// outlive it. Not copyable or movable: the state may hold views of the reservation inside it.
///
/// advance() runs one level: reserve the increment, materialise, execute, bound. When the ledger has no room it
/// returns false and nothing has changed, so a scheduler may try again later. If the tier throws, the session is
/// spent; its destructor returns every byte.
template <Tier T, EstimatorFor<T> E>
class Session {
 public:
  using Request = typename T::Request;
  using Result = typename T::Result;

  Session(const T& tier, const E& estimator, const Request& request, QualityTarget target, Account account,
          std::uint64_t number = 0, TraceSink* sink = nullptr)
      : tier_(tier), estimator_(estimator), request_(request), target_(target), number_(number), sink_(sink),
        reservation_(account), resource_(reservation_, MemorySpace::host), state_(make_state(resource_)) {
    target_.validate();
    expects<ValueError>(tier_.levels() > 0, "Session: the tier has 0 levels, expected at least 1");
    if constexpr (StartingTier<T>) next_ = std::min(tier_.first_level(request_), top());
    outcome_.trace.reserve(tier_.levels());
  }
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  /// True when the result has been released or the top level has run: nothing more to advance.
  bool done() const noexcept { return done_; }
  /// Level that advance() would run next. Meaningless once done().
  Level next_level() const noexcept { return next_; }
  /// Exact bytes that advance() would reserve.
  Footprint next_increment() const { return done() ? Footprint{} : tier_.increment(request_, state_, next_); }
  Footprint held() const noexcept { return reservation_.reserved(); }

  /// Runs the next level. @return false if the ledger denied it (nothing changed); true otherwise.
  bool advance() {
    if (done()) return true;
    if (!reserve_next()) return false;
    const auto start = Clock::now();
    tier_.materialise(request_, state_, next_);
    finish_level(start);
    return true;
  }

  /// Takes the outcome as it stands. The state and its bytes are returned when the session is destroyed.
  Outcome<Result> take() {
    outcome_.peak = reservation_.peak();
    return std::move(outcome_);
  }

 private:
  template <Tier T2, EstimatorFor<T2> E2>
  friend class Controller;
  using Clock = std::chrono::steady_clock;

  Level top() const { return tier_.levels() - 1; }

  static typename T::State make_state(std::pmr::memory_resource& resource) {
    if constexpr (std::constructible_from<typename T::State, std::pmr::memory_resource*>)
      return typename T::State(&resource);
    else
      return typename T::State{};
  }

  bool reserve_next() {
    increment_ = tier_.increment(request_, state_, next_);
    outcome_.denial = reservation_.try_grow(increment_);
    if (!outcome_.denial) return true;
    outcome_.verdict = Verdict::out_of_memory;
    record(Decision::deny, ErrorBound::none(), 0.0);
    return false;
  }

  // Execute, bound, decide. The level has been materialised.
  void finish_level(Clock::time_point start) {
    outcome_.raw = tier_.execute(request_, state_, next_);
    outcome_.level = next_;
    outcome_.bound = charge(next_ == top() ? ErrorBound::exact() : look());
    const bool release = outcome_.bound.within(target_.epsilon) && outcome_.bound.delta().value <= target_.delta.value;
    outcome_.verdict = release ? Verdict::certified : Verdict::uncertified;
    done_ = release || next_ == top();
    const std::chrono::duration<double, std::micro> elapsed = Clock::now() - start;
    record(done_ ? Decision::release : Decision::escalate, outcome_.bound, elapsed.count());
    if (!done_) ++next_;
  }

  ErrorBound look() {
    // Each level looks at the data once, so each may spend only its share: the sum stays below delta (union bound).
    const Delta share{target_.delta.value / static_cast<double>(tier_.levels())};
    const ErrorBound bound = estimator_.bound(request_, state_, *outcome_.raw, next_, share);
    const Delta allowed = bound.kind() == BoundKind::calibrated ? target_.delta : share;
    if (bound.delta().value <= allowed.value) return bound;
    spent_ = 1.0;  // an estimator that overdraws its share may have pruned on that: fail closed, also at the top level
    return ErrorBound::none();
  }

  // Adds up what the looks have spent. What a randomized look pruned stays pruned, so its delta is owed by every
  // later level, the exact one included. A calibrated bound covers the whole policy and is charged once.
  ErrorBound charge(const ErrorBound& bound) {
    if (bound.kind() == BoundKind::calibrated)
      return spent_ == 0.0 ? bound : ErrorBound::calibrated(bound.value(), Delta{bound.delta().value + spent_});
    spent_ = std::min(1.0, spent_ + bound.delta().value);
    return spent_ == 0.0 ? bound : ErrorBound::randomized(bound.value(), Delta{spent_});
  }

  void record(Decision decision, const ErrorBound& bound, double elapsed_us) {
    outcome_.trace.push_back({number_, next_, decision, reservation_.reserved(), increment_, bound, elapsed_us});
    if (sink_ != nullptr) sink_->record(outcome_.trace.back());
  }

  const T& tier_;
  const E& estimator_;
  const Request& request_;
  QualityTarget target_;
  std::uint64_t number_;
  TraceSink* sink_;
  Reservation reservation_;        // declared before the state: the state gives its memory back first
  ReservationResource resource_;
  typename T::State state_;
  Level next_ = 0;
  bool done_ = false;
  double spent_ = 0.0;
  Footprint increment_;
  Outcome<Result> outcome_;
};

}  // namespace mpp

#pragma once
#include <algorithm>
#include <chrono>
#include <cstdint>
#include <limits>
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
/// returns false and nothing has changed, so a scheduler may try again later. If anything throws, the session is
/// spent: it is done(), its outcome is that of the level before, and its destructor returns every byte.
template <Tier T, EstimatorFor<T> E>
class Session {
 public:
  using Request = typename T::Request;
  using Result = typename T::Result;

  /// @throws ValueError for a target outside its domain or a tier without levels
  Session(const T& tier, const E& estimator, const Request& request, QualityTarget target, Account account,
          std::uint64_t number = 0, TraceSink* sink = nullptr)
      : tier_(tier), estimator_(estimator), request_(request), target_(target), number_(number), sink_(sink),
        reservation_(account), resource_(reservation_, MemorySpace::host), state_(make_state(resource_)) {
    target_.validate();
    expects<ValueError>(tier_.levels() > 0, "Session: the tier has 0 levels, expected at least 1");
    if constexpr (StartingTier<T>) next_ = std::min(tier_.first_level(request_), top());
  }
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  /// True when the result has been released, the top level has run, or advance() threw: nothing more to advance.
  bool done() const noexcept { return done_; }
  /// Level that advance() would run next. Meaningless once done().
  Level next_level() const noexcept { return next_; }
  /// Exact bytes that advance() would reserve.
  Footprint next_increment() const { return done() ? Footprint{} : tier_.increment(request_, state_, next_); }
  Footprint held() const noexcept { return reservation_.reserved(); }

  /// Runs the next level. @return false if the ledger denied it (nothing changed); true otherwise.
  /// @throws ValueError if the tier asks for more than its claim, and whatever the tier and the estimator throw
  bool advance() {
    if (done()) return true;
    if (!reserve_next()) return false;
    const auto start = Clock::now();
    tier_.materialise(request_, state_, next_);
    finish_level(Clock::now() - start);
    return true;
  }

  /// Takes the outcome as it stands, once. The state and its bytes are returned when the session is destroyed.
  [[nodiscard]] Outcome<Result> take() {
    outcome_.peak = reservation_.peak();
    return std::move(outcome_);
  }

 private:
  template <Tier T2, EstimatorFor<T2> E2>
  friend class Controller;
  using Clock = std::chrono::steady_clock;

  Level top() const { return tier_.levels() - 1; }

  static typename T::State make_state(std::pmr::memory_resource& resource) {
    if constexpr (ResourceState<typename T::State>)
      return typename T::State(&resource);
    else
      return typename T::State{};
  }

  bool reserve_next() {
    done_ = true;  // until a decision says otherwise: a step that throws must not be repeated on half a state
    const Footprint increment = tier_.increment(request_, state_, next_);
    // The governor's safe order is computed from claims: a level above its claim could deadlock everybody.
    const Footprint claim = tier_.footprint(request_, next_);
    const Footprint after = held() + increment;
    expects<ValueError>(after.within(claim), "Session: level ", next_, " needs ", after.total().count,
                        " B in all, its footprint claims ", claim.total().count, " B");
    outcome_.denial = reservation_.try_grow(increment);
    increment_ = increment;
    if (outcome_.denial) {
      outcome_.verdict = Verdict::out_of_memory;
      const bool repeated = !outcome_.trace.empty() && outcome_.trace.back().decision == Decision::deny;
      if (!repeated) record(Decision::deny, ErrorBound::none(), {});
      done_ = false;
      return false;
    }
    outcome_.verdict = Verdict::uncertified;
    return true;
  }

  // Execute, bound, decide. The level has been materialised; the outcome changes only when nothing can throw any more.
  void finish_level(Clock::duration materialise_time) {
    const auto start = Clock::now();
    const bool exact = next_ == top();
    std::optional<Result> result = tier_.execute(request_, state_, next_);
    const ErrorBound bound = charge(exact ? ErrorBound::exact() : look(*result));
    const bool release = bound.within(target_.epsilon) && bound.delta().value <= target_.delta.value;
    record(release ? Decision::release
           : exact ? Decision::refuse
                   : Decision::escalate,
           bound, materialise_time + (Clock::now() - start));
    outcome_.raw.swap(result);
    outcome_.bound = bound;
    outcome_.looked = policy_ + spent_;
    outcome_.level = next_;
    outcome_.verdict = release ? Verdict::certified : Verdict::uncertified;
    done_ = release || exact;
    if (!done_) ++next_;
  }

  // Each level looks at the data once, so each may spend only its share: the sum stays below delta (union bound).
  // The exact level needs no look; its unspent share pays for rounding the sum of the others up.
  Delta next_share() const {
    const double total = target_.delta.value;
    const auto levels = static_cast<double>(tier_.levels());
    if (policy_.value == 0.0) return {total / levels};
    // A calibrated policy that was asked leaves the later looks a share of the rest, less 8 roundings of total: 4 go into
    // the two sums that follow, each rounded up, and 3 into this share.
    const double rest = total - (policy_ + spent_).value;
    return {std::max(0.0, rest / levels - total * 0x1p-50)};
  }

  ErrorBound look(const Result& result) {
    const Delta share = next_share();
    const ErrorBound bound = estimator_.bound(request_, state_, result, next_, share);
    const double delta = bound.delta().value;
    if (bound.kind() == BoundKind::calibrated && delta >= 0.0) return admit(bound);
    if (bound.kind() != BoundKind::calibrated && delta >= 0.0 && delta <= share.value) return bound;
    // A look that overdraws its share may have pruned on that: fail closed, also at the top level.
    return ErrorBound::randomized(std::numeric_limits<double>::quiet_NaN(), Delta{1.0});
  }

  // A calibrated promise counts from the first time it is asked, also if it releases nothing here. One that does not fit
  // beside the looks can release nothing and has pruned nothing: it is passed over, and the levels above it still count.
  ErrorBound admit(const ErrorBound& bound) {
    const Delta policy{std::max(policy_.value, bound.delta().value)};
    if ((policy + spent_).value > target_.delta.value) return ErrorBound::none();
    policy_ = policy;
    return bound;
  }

  // Adds up what the looks have spent. What a randomized look pruned stays pruned, so its delta is owed by every
  // later level, the exact one included. A calibrated bound covers the whole policy and is charged once: to the
  // release that rests on it; Outcome::looked counts it for every run that asked.
  ErrorBound charge(const ErrorBound& bound) {
    if (bound.kind() == BoundKind::calibrated) return ErrorBound::calibrated(bound.value(), bound.delta() + spent_);
    spent_ = spent_ + bound.delta();
    return spent_.value == 0.0 ? bound : ErrorBound::randomized(bound.value(), spent_);
  }

  void record(Decision decision, const ErrorBound& bound, std::chrono::duration<double, std::micro> elapsed) {
    outcome_.trace.push_back({number_, next_, decision, held(), increment_, bound, elapsed.count()});
    if (sink_ != nullptr) sink_->record(outcome_.trace.back());
  }

  const T& tier_;
  const E& estimator_;
  const Request& request_;
  QualityTarget target_;
  std::uint64_t number_;
  TraceSink* sink_;
  Reservation reservation_;  // declared before the state: the state gives its memory back first
  ReservationResource resource_;
  typename T::State state_;
  Level next_ = 0;
  bool done_ = false;
  Delta spent_;   // by randomized looks
  Delta policy_;  // of the calibrated policy that was asked
  Footprint increment_;
  Outcome<Result> outcome_;
};

}  // namespace mpp

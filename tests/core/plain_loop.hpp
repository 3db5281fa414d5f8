#pragma once
#include <optional>
#include <vector>

#include <mpp/core/control/controller.hpp>

// The loop of the controller written down plainly, with one flaw at choice. A check that the controller passes is worth
// something only if the loop without a flaw passes it too and the loop with the flaw it is about does not.
namespace mpp::test {

enum class Flaw {
  none,
  certifies_nan,         ///< tests !(bound > epsilon)
  full_delta_per_look,   ///< every look may spend all of delta
  forgives_overdrafts,   ///< drops a bound that overdrew its share, but certifies above it
  forgets_at_exact,      ///< reports delta 0 at the exact level, whatever was pruned on the way
  charges_per_look,      ///< charges a calibrated promise once per look
  charges_winners,       ///< counts a calibrated promise as looked at only if it released
  keeps_bytes_on_throw,  ///< returns bytes at the end, not by destruction
  runs_without_memory,   ///< takes the denied level all the same
};

template <Flaw flaw>
struct PlainLoop {
  std::vector<Reservation> kept{};  ///< what keeps_bytes_on_throw has leaked; clear it before the ledger goes

  template <class T, class E>
  Outcome<typename T::Result> operator()(const T& tier, const E& estimator, const typename T::Request& request,
                                         QualityTarget target, Account account) {
    Reservation reservation(account);
    try {
      return climb(tier, estimator, request, target, reservation);
    } catch (...) {
      if (flaw == Flaw::keeps_bytes_on_throw) kept.push_back(std::move(reservation));
      throw;
    }
  }

 private:
  template <class T, class E>
  static Outcome<typename T::Result> climb(const T& tier, const E& estimator, const typename T::Request& request,
                                           QualityTarget target, Reservation& reservation) {
    Outcome<typename T::Result> outcome;
    typename T::State state{};
    Delta spent{}, policy{};
    bool overdrawn = false;
    const Level top = tier.levels() - 1;
    const double looks = flaw == Flaw::full_delta_per_look ? 1.0 : static_cast<double>(tier.levels());
    for (Level level = 0; level <= top; ++level) {
      outcome.denial = reservation.try_grow(tier.increment(request, state, level));
      if (outcome.denial && flaw != Flaw::runs_without_memory) {
        outcome.verdict = Verdict::out_of_memory;
        return outcome;
      }
      tier.materialise(request, state, level);
      outcome.raw = tier.execute(request, state, level);
      outcome.level = level;
      const Delta share{(policy.value > 0.0 ? target.delta.value - policy.value - spent.value : target.delta.value) /
                        looks};
      ErrorBound bound =
          level == top ? ErrorBound::exact() : estimator.bound(request, state, *outcome.raw, level, share);
      const bool calibrated = bound.kind() == BoundKind::calibrated;
      const double delta = bound.delta().value;
      if (!calibrated && !(delta >= 0.0 && delta <= share.value)) {
        overdrawn = flaw != Flaw::forgives_overdrafts;
        bound = ErrorBound::none();
      }
      if (!calibrated || flaw == Flaw::charges_per_look) spent = spent + bound.delta();
      Delta owed = calibrated && flaw != Flaw::charges_per_look ? spent + bound.delta() : spent;
      if (flaw == Flaw::forgets_at_exact && level == top) owed = {};
      if (calibrated && (delta <= target.delta.value) &&
          (flaw != Flaw::charges_winners || bound.within(target.epsilon)))
        policy.value = std::max(policy.value, delta);
      outcome.looked = spent + policy;
      outcome.bound = calibrated          ? ErrorBound::calibrated(bound.value(), owed)
                      : owed.value == 0.0 ? bound
                                          : ErrorBound::randomized(bound.value(), owed);
      const bool within =
          flaw == Flaw::certifies_nan ? !(bound.value() > target.epsilon.value) : bound.within(target.epsilon);
      if (within && owed.value <= target.delta.value && !overdrawn) {
        outcome.verdict = Verdict::certified;
        break;
      }
    }
    return outcome;
  }
};

/// The real thing, in the same form.
struct RealLoop {
  template <class T, class E>
  Outcome<typename T::Result> operator()(const T& tier, const E& estimator, const typename T::Request& request,
                                         QualityTarget target, Account account) {
    return Controller(tier, estimator, account).serve(request, target);
  }
};

}  // namespace mpp::test

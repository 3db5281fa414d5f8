#pragma once
#include <cstddef>
#include <cstdint>
#include <vector>

#include <mpp/core/control/bound.hpp>

namespace mpp::guarantees {

/// How one request's failure probability is split, before anything is looked at: a share per look, and one charge for a
/// calibrated policy, which covers all of its releases together.
///
/// Guarantee: in real numbers, policy + sum of the shares <= total (union bound over what may fail). Shares are rounded
/// down. They may depend on nothing that the looks see.
class DeltaBudget {
 public:
  /// The same share for every look.
  /// @param total   in [0, 1)
  /// @param looks   >= 1, at most 2^53
  /// @param policy  in [0, total]
  /// @throws ValueError otherwise
  static DeltaBudget even(Delta total, std::size_t looks, Delta policy = {});
  /// Shares chosen by the caller, in the order of the looks.
  /// @throws ValueError unless each is in [0, 1) and policy + their sum, rounded up, is at most total, which is in [0, 1)
  static DeltaBudget committed(Delta total, std::vector<Delta> shares, Delta policy = {});

  [[nodiscard]] Delta total() const noexcept { return total_; }
  [[nodiscard]] Delta policy() const noexcept { return policy_; }
  [[nodiscard]] std::size_t looks() const noexcept { return looks_; }
  /// @throws ShapeError unless look < looks()
  [[nodiscard]] Delta share(std::size_t look) const;

 private:
  DeltaBudget(Delta total, Delta policy, std::size_t looks) : total_(total), policy_(policy), looks_(looks) {}

  Delta total_, policy_;
  std::size_t looks_;
  Delta even_share_{};
  std::vector<Delta> shares_;  // empty when even
};

/// Failure probability of a workflow of many steps: all its certified steps hold together, except with probability
/// total.
///
/// Step j of those that look at a randomized or calibrated bound may spend total / steps, or, when their number is
/// unknown, total 6 / (pi^2 j^2): the sum over all j is total. A step that looks at nothing (deterministic bounds, the
/// exact level) spends nothing and does not count, so the budget goes to the steps that need it.
///
/// Guarantee: in real numbers the shares add up to at most total, however many steps follow. A step that has *looked* is
/// charged even if it was released otherwise: steps that pay only when they win would fail as often as they like.
/// Not thread-safe.
///
///   const auto outcome = controller.serve(request, {.epsilon = epsilon, .delta = ledger.share()});
///   ledger.charge(outcome.looked);  // certified or not, before the next step
class WorkflowLedger {
 public:
  /// @param total  in [0, 1)
  /// @param steps  that look, >= 1, at most 2^53; once they are used up, further ones have share 0
  /// @throws ValueError otherwise
  static WorkflowLedger known(Delta total, std::uint64_t steps);
  /// @throws ValueError unless total is in [0, 1)
  static WorkflowLedger unknown(Delta total);

  /// What the next step that looks may spend.
  [[nodiscard]] Delta share() const;
  /// Takes what a step could have failed with at all that it looked at: Outcome::looked. 0: it has looked at nothing.
  /// Never Outcome::bound.delta(), which a step that asked a calibrated policy and was released otherwise reports as 0.
  /// @throws ValueError unless spent is in [0, share()]; nothing changes then
  void charge(Delta spent);

  /// Probability that a step charged so far fails: the sum, rounded up, at most total.
  [[nodiscard]] Delta spent() const noexcept;
  [[nodiscard]] std::uint64_t looks() const noexcept { return looks_; }

 private:
  WorkflowLedger(Delta total, std::uint64_t steps) : total_(total), steps_(steps) {}

  Delta total_;
  std::uint64_t steps_;  // 0: unknown
  std::uint64_t looks_ = 0;
  Delta spent_{};
};

}  // namespace mpp::guarantees

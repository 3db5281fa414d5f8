#include <mpp/core/guarantees/budget.hpp>

#include <algorithm>
#include <utility>

#include <mpp/core/error.hpp>

namespace mpp::guarantees {
namespace {

constexpr std::uint64_t most_looks = std::uint64_t{1} << 53;  // every count up to here is a double

// 6 / pi^2 = 0.60792710185402662866...; the literal is cut off, so it is below.
constexpr double basel = 0.607927101854026;

// Below a quotient or product that took at most 4 roundings. So near underflow that a rounding may be larger than
// 2^-53 of the result, nothing is spent at all.
double rounded_down(double x) { return x < 0x1p-900 ? 0.0 : x - x * 0x1p-50; }

void check(const char* operation, const char* what, Delta delta) {
  expects<ValueError>(delta.value >= 0.0 && delta.value < 1.0, operation, ": ", what, " is ", delta.value,
                      ", expected in [0, 1)");
}

void check_count(const char* operation, const char* what, std::uint64_t count) {
  expects<ValueError>(count >= 1 && count <= most_looks, operation, ": ", what, " is ", count, ", expected from 1 to ",
                      most_looks);
}

}  // namespace

DeltaBudget DeltaBudget::even(Delta total, std::size_t looks, Delta policy) {
  check("DeltaBudget::even", "total", total);
  check("DeltaBudget::even", "policy", policy);
  check_count("DeltaBudget::even", "looks", looks);
  expects<ValueError>(policy.value <= total.value, "DeltaBudget::even: policy is ", policy.value,
                      ", expected at most the total, ", total.value);
  DeltaBudget budget(total, policy, looks);
  budget.even_share_ = {rounded_down((total.value - policy.value) / static_cast<double>(looks))};
  return budget;
}

DeltaBudget DeltaBudget::committed(Delta total, std::vector<Delta> shares, Delta policy) {
  check("DeltaBudget::committed", "total", total);
  check("DeltaBudget::committed", "policy", policy);
  check_count("DeltaBudget::committed", "the number of shares", shares.size());
  Delta sum = policy;
  for (const Delta share : shares) {
    check("DeltaBudget::committed", "a share", share);
    sum = sum + share;
  }
  expects<ValueError>(sum.value <= total.value, "DeltaBudget::committed: policy and shares add up to ", sum.value,
                      ", expected at most the total, ", total.value);
  DeltaBudget budget(total, policy, shares.size());
  budget.shares_ = std::move(shares);
  return budget;
}

Delta DeltaBudget::share(std::size_t look) const {
  expects<ShapeError>(look < looks_, "DeltaBudget::share: look is ", look, ", expected below ", looks_);
  return shares_.empty() ? even_share_ : shares_[look];
}

WorkflowLedger WorkflowLedger::known(Delta total, std::uint64_t steps) {
  check("WorkflowLedger::known", "total", total);
  check_count("WorkflowLedger::known", "steps", steps);
  return {total, steps};
}

WorkflowLedger WorkflowLedger::unknown(Delta total) {
  check("WorkflowLedger::unknown", "total", total);
  return {total, 0};
}

Delta WorkflowLedger::share() const {
  const auto next = static_cast<double>(looks_ + 1);
  if (steps_ == 0) return {rounded_down(total_.value * basel / next / next)};
  return {looks_ < steps_ ? rounded_down(total_.value / static_cast<double>(steps_)) : 0.0};
}

void WorkflowLedger::charge(Delta spent) {
  const Delta most = share();
  expects<ValueError>(spent.value >= 0.0 && spent.value <= most.value, "WorkflowLedger::charge: the step has spent ",
                      spent.value, ", expected from 0 to its share, ", most.value);
  if (spent.value == 0.0) return;
  spent_ = spent_ + spent;
  ++looks_;
}

// The exact sum is at most total; what rounding up has added beyond it is no failure.
Delta WorkflowLedger::spent() const noexcept { return {std::min(spent_.value, total_.value)}; }

}  // namespace mpp::guarantees

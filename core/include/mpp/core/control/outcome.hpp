#pragma once
#include <array>
#include <cstdint>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

#include <mpp/core/control/trace.hpp>
#include <mpp/core/error.hpp>
#include <mpp/core/memory/denial.hpp>

namespace mpp {

enum class Verdict : std::uint8_t {
  certified,      ///< the bound is within epsilon
  uncertified,    ///< no bound is within epsilon: the caller stopped early, or an estimator overdrew its share
  out_of_memory,  ///< the ledger had no room for the next level; a result of a lower level may exist
};

constexpr std::string_view name(Verdict verdict) noexcept {
  constexpr std::array<std::string_view, 3> names{"certified", "uncertified", "out_of_memory"};
  return names[static_cast<std::size_t>(verdict)];
}

/// Somebody asked an uncertified outcome for its value.
struct Uncertified : std::logic_error {
  using std::logic_error::logic_error;
};

/// The answer to a request: the result together with what is promised about it and what it cost.
///
/// `looked` adds up the randomized looks and, once, the calibrated policy that was asked, released by it or not: the
/// policy fails for its delta of all requests, and those that it sends on are among them. At most the target's delta,
/// unless a look overdrew its share. Whoever adds up many runs adds up this (WorkflowLedger), never bound.delta().
template <class Result>
struct Outcome {
  Verdict verdict = Verdict::uncertified;
  std::optional<Result> raw;     ///< the last result, certified or not: read it only if you mean that
  ErrorBound bound;              ///< of `raw`; its delta is that of the looks which `raw` itself depends on
  Delta looked;                  ///< chance that a run which looks like this one fails, whatever released it
  Level level = 0;               ///< that `raw` was computed at
  Footprint peak;                ///< most bytes the request held
  std::optional<Denial> denial;  ///< who held the memory, when verdict is out_of_memory
  std::vector<TraceStep> trace;  ///< one step per decision: at most two per level, however often a denial is retried

  bool certified() const noexcept { return verdict == Verdict::certified; }

  /// The certified result. @throws Uncertified if there is none.
  const Result& value() const& {
    require();
    return *raw;
  }
  Result value() && {
    require();
    return *std::move(raw);
  }

 private:
  void require() const {
    expects<Uncertified>(certified() && raw.has_value(), "Outcome::value: the verdict is ", name(verdict),
                         ", expected certified; read .raw for an uncertified result");
  }
};

}  // namespace mpp

#pragma once
#include <cstdint>

#include <mpp/core/control/bound.hpp>

namespace mpp::guarantees {

/// The least n with clopper_pearson_upper({violations, n}, beta) <= risk: how many requests must be observed to certify
/// a violation rate of at most `risk`, if `violations` of them violate. 299 for risk 1 %, beta 5 % and no violation.
/// @param risk in (0, 1)
/// @param beta in (0, 1); below 2^-1022 no size is seen to suffice
/// @throws ValueError if a parameter is outside its range or no n <= most_samples suffices
[[nodiscard]] std::uint64_t minimum_samples(Delta risk, Delta beta, std::uint64_t violations = 0);

/// Share of requests that any rule must escalate (or refuse) to keep the violation rate *of those it releases* at `risk`,
/// if the cheapest level violates at `base_rate`: max(0, (base_rate - risk) / (1 - risk)), to the nearest double. It is met
/// by a rule that escalates violations only; the rate over all requests needs base_rate - risk.
/// A feasibility check to print before anything runs, not a bound to certify with.
/// @param base_rate in [0, 1]
/// @param risk      in [0, 1)
/// Source: arXiv 2606.29054.
[[nodiscard]] double minimum_escalation_rate(double base_rate, Delta risk);

}  // namespace mpp::guarantees

#pragma once
#include <vector>

#include <mpp/core/guarantees/limits.hpp>

#include "statistical/validity.hpp"

/// The library's limits and p-values as claims whose validity can be checked.
namespace mpp::statistical {

/// Losses 0 and 1 as counts, for procedures on Count.
inline guarantees::Count count(std::span<const double> losses) {
  guarantees::Count result{0, losses.size()};
  for (const double loss : losses) result.violations += loss == 1.0 ? 1 : 0;
  return result;
}

template <class Limit>
Claim binary_claim(std::string name, Limit limit, bool lower = false) {
  const auto on_count = [limit](std::span<const double> losses, Delta delta) { return limit(count(losses), delta); };
  Claim claim = lower ? lower_claim(std::move(name), on_count) : upper_claim(std::move(name), on_count);
  claim.binary_only = true;
  return claim;
}

inline std::vector<Claim> library_claims() {
  using namespace guarantees;
  const Claim binomial{"binomial_p", true, false, false, [](std::span<const double> losses, double mean, Delta delta) {
                         return binomial_p(count(losses), mean) <= delta.value;
                       }};
  const Claim mixed{"hoeffding_bentkus_p", false, false, false,
                    [](std::span<const double> losses, double mean, Delta delta) {
                      return hoeffding_bentkus_p(losses, mean) <= delta.value;
                    }};
  const Claim bets{"betting_p", false, true, false, [](std::span<const double> losses, double mean, Delta delta) {
                     return betting_p(losses, mean) <= delta.value;
                   }};
  return {binary_claim("clopper_pearson_upper", clopper_pearson_upper),
          binary_claim("clopper_pearson_lower", clopper_pearson_lower, true),
          upper_claim("hoeffding_bentkus_upper", hoeffding_bentkus_upper),
          lower_claim("hoeffding_bentkus_lower", hoeffding_bentkus_lower),
          upper_claim("empirical_bernstein_upper", empirical_bernstein_upper),
          lower_claim("empirical_bernstein_lower", empirical_bernstein_lower),
          upper_claim("betting_upper", betting_upper, true),
          lower_claim("betting_lower", betting_lower, true),
          binomial,
          mixed,
          bets};
}

}  // namespace mpp::statistical

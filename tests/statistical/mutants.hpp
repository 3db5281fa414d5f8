#pragma once
#include <functional>
#include <string>
#include <vector>

#include "statistical/calibration_checks.hpp"
#include "statistical/calibration_procedures.hpp"
#include "statistical/exactness.hpp"
#include "statistical/mutant_calibration.hpp"
#include "statistical/mutant_limits.hpp"
#include "statistical/outward.hpp"
#include "statistical/procedures.hpp"

/// The conformance suite as two lists: procedures that are wrong, all of which the named check must reject, and sound
/// ones, none of which it may. The first eight kinds were found in public libraries.
namespace mpp::statistical {

struct Procedure {
  std::string name;
  std::string check;  ///< what has to reject it, if it is wrong
  std::function<bool(const Scale&)> rejected;
};

inline Procedure by_validity(Claim claim) {
  std::string name = claim.name;
  return {std::move(name), "validity", [claim = std::move(claim)](const Scale& scale) {
            const auto cells = ValidityCheck(claim, scale).run(/*until_rejected=*/true);
            return !cells.empty() && cells.back().rejected;
          }};
}
template <class Limit>
Procedure by_exactness(std::string name, Limit limit, bool upper = true) {
  return {std::move(name), "exact fractions",
          [limit, upper](const Scale&) { return examine(60, upper, limit).unsound > 0; }};
}
// `rounding_apart`: a mutant has to be wrong by more than rounding, so that it is rejected for its mistake.
inline Procedure by_formula(std::string name, Formula formula, UpperLimit limit, bool rounding_apart) {
  return {std::move(name), "60-digit formula", [formula, rounding_apart, limit = std::move(limit)](const Scale&) {
            const UpperLimit shifted = [&](std::span<const double> losses, Delta beta) {
              return limit(losses, beta) + (rounding_apart ? 1e-9 : 0.0);
            };
            return rounding(formula, shifted, 1.0, /*until_inside=*/true).inside > 0;
          }};
}
inline Procedure by_rank(std::string name, RankRule rule) {
  return {std::move(name), "rank", [rule = std::move(rule)](const Scale& scale) { return refutes_rank(rule, scale); }};
}
inline Procedure by_selection(std::string name, mutant::Sequence mistake) {
  return {std::move(name), "selection", [mistake](const Scale& scale) {
            return refutes_selection(
                [mistake](auto losses, double risk, Delta delta) {
                  return mutant::fixed_sequence(losses, risk, delta, mistake);
                },
                scale);
          }};
}
inline Procedure by_threshold(std::string name, bool tie_flip) {
  return {std::move(name), "threshold", [tie_flip](const Scale& scale) {
            return refutes_threshold(
                [tie_flip](auto requests, double risk, Delta delta) {
                  return mutant::signal_threshold(requests, risk, delta, tie_flip);
                },
                scale);
          }};
}
inline Procedure by_input(std::string name, std::function<double(std::span<const double>, Delta)> limit) {
  return {std::move(name), "bad input", [limit = std::move(limit)](const Scale&) { return takes_bad_input(limit); }};
}

inline std::vector<Procedure> mutants() {
  using namespace guarantees;
  using mutant::Losses;
  const auto bernstein = [](mutant::Bernstein mistake) {
    return [mistake](Losses losses, Delta beta) { return mutant::bernstein(losses, beta, mistake); };
  };
  const auto betting = [](std::string name, mutant::Betting mistake) {
    return by_validity({std::move(name), false, true, false, [mistake](Losses losses, double mean, Delta delta) {
                          return mutant::betting_refutes(losses, mean, delta, mistake);
                        }});
  };
  const auto rank = [](mutant::Rank mistake) {
    return RankRule{[mistake](std::span<const double> scores, double delta) {
      return mutant::conformal_kappa(scores, delta, mistake);
    }};
  };
  RankRule strict = rank({});
  strict.covers = [](double score, double kappa) { return score < kappa; };
  const auto peeking = [](Losses losses, Delta beta) {
    double least = 1.0;
    for (std::size_t look = 1; look <= 10; ++look)
      if (const std::size_t n = losses.size() * look / 10; n > 0)
        least = std::min(least, clopper_pearson_upper(count(losses.first(n)), beta));
    return least;
  };
  Claim peeks = upper_claim("peeking: the best of ten looks at a limit for a fixed n", peeking, true);
  peeks.binary_only = true;

  return {
      by_validity(upper_claim("1 Bernstein with the variance across thresholds", mutant::bernstein_across_lambdas)),
      betting("2 betting: maxima of two halves added, middle sample dropped", {.halves = true}),
      by_validity(upper_claim("3 plug-in deviation: one sample certifies", mutant::plug_in_deviation)),
      by_selection("4 returns the first threshold that fails", {.first_failing = true}),
      by_validity(
          binary_claim("4 returns the grid point inside",
                       [](Count c, Delta beta) { return std::floor(clopper_pearson_upper(c, beta) * 100.0) / 100.0; })),
      by_formula("5 Bentkus with floor for ceil", Formula::hoeffding_bentkus, mutant::bentkus_floor, true),
      by_exactness("5 the count recovered as floor(n * mean)",
                   [](Count c, Delta beta) {
                     const double mean = static_cast<double>(c.violations) / static_cast<double>(c.n);
                     c.violations = static_cast<std::uint64_t>(static_cast<double>(c.n) * mean);
                     return clopper_pearson_upper(c, beta);
                   }),
      by_rank("6 a rank above n becomes n", rank({.clamped = true})),
      by_rank("6b > for >=: a score equal to kappa is not covered", std::move(strict)),
      by_exactness("7 bisection returns its midpoint",
                   [](Count c, Delta beta) { return mutant::plain_limit(c, beta, 30, true); }),
      by_rank("8 quantiles of chunks averaged", RankRule{mutant::chunk_quantiles}),
      by_validity(std::move(peeks)),
      by_selection("reused calibration set: order learned from the tested losses", {.reordered = true}),
      by_selection("omitted union: every threshold tested at the full level", {.no_stop = true}),
      by_threshold("tie flip: calibrated with >, released with >=", true),
      by_exactness("fast-math: compensated arithmetic folded to plain double",
                   [](Count c, Delta beta) { return mutant::plain_limit(c, beta, 60, false); }),
      by_input("fast-math: the comparison that catches NaN is dropped", mutant::nan_passes),
      by_validity(binary_claim("flush to zero: small terms of a tail vanish",
                               [](Count c, Delta beta) { return mutant::plain_limit(c, beta, 60, false, true); })),
      by_formula("flush to zero: subnormal losses vanish", Formula::hoeffding_bentkus, mutant::flushed_losses, true),
      by_validity(binary_claim("one-sided limit at twice beta",
                               [](Count c, Delta beta) { return clopper_pearson_upper(c, Delta{2.0 * beta.value}); })),
      by_validity(binary_claim("P(X < k) for P(X <= k)",
                               [](Count c, Delta beta) {
                                 return clopper_pearson_upper({c.violations - (c.violations > 0 ? 1U : 0U), c.n}, beta);
                               })),
      by_validity(binary_claim("n + 1 for n",
                               [](Count c, Delta beta) {
                                 return clopper_pearson_upper({c.violations, c.n + 1}, beta);
                               })),
      by_exactness("inner end of the bracket",
                   [](Count c, Delta beta) { return inward(clopper_pearson_upper(c, beta), 1, true); }),
      by_exactness(
          "lower limit: inner end of the bracket",
          [](Count c, Delta beta) { return inward(clopper_pearson_lower(c, beta), 1, false); }, false),
      betting("betting: the bet knows the loss it is made on", {.peeks = true}),
      betting("betting: variance starts at 0 and the bet has no cap", {.no_prior = true}),
      by_validity({"betting: the best of thirty orders", false, true, false, mutant::best_of_orders}),
      by_formula("empirical Bernstein: n for n - 1", Formula::empirical_bernstein, bernstein({.less = 0.0}), true),
      by_formula("empirical Bernstein: ln(1 / beta)", Formula::empirical_bernstein, bernstein({.inner = 1.0}), true),
      by_validity(upper_claim("empirical Bernstein without its linear term", bernstein({.outer = 0.0}))),
      by_validity(upper_claim("normal approximation", mutant::central_limit)),
      by_validity(upper_claim("graded losses cut at one half and counted",
                              [](Losses losses, Delta beta) {
                                Count c{0, losses.size()};
                                for (const double loss : losses) c.violations += loss > 0.5 ? 1 : 0;
                                return clopper_pearson_upper(c, beta);
                              })),
      by_rank("rank floor((n + 1)(1 - delta))", rank({.truncated = true})),
      by_rank("rank ceil(n (1 - delta)): the next request forgotten", rank({.no_test_point = true})),
  };
}

inline std::vector<Procedure> valid_procedures() {
  using namespace guarantees;
  std::vector<Procedure> valid;
  for (Claim& claim : library_claims()) valid.push_back(by_validity(std::move(claim)));
  valid.push_back(by_exactness("clopper_pearson_upper", clopper_pearson_upper));
  valid.push_back(by_exactness("clopper_pearson_lower", clopper_pearson_lower, false));
  valid.push_back(by_formula("hoeffding_bentkus_upper", Formula::hoeffding_bentkus, hoeffding_bentkus_upper, false));
  valid.push_back(
      by_formula("empirical_bernstein_upper", Formula::empirical_bernstein, empirical_bernstein_upper, false));
  valid.push_back(by_formula("betting_upper", Formula::betting, betting_upper, false));
  valid.push_back(by_rank("conformal rank", RankRule{[](std::span<const double> scores, double delta) {
                            return mutant::conformal_kappa(scores, delta, {});
                          }}));
  valid.push_back(by_selection("fixed sequence", {}));
  valid.push_back(by_threshold("signal threshold", false));
  valid.push_back(by_rank("calibrate_ratio", RankRule{[](std::span<const double> scores, double delta) {
                            return library_kappa(scores, delta, std::nullopt);
                          }}));
  valid.push_back({"calibrate_policy, 0/1 losses", "selection",
                   [](const Scale& scale) { return refutes_selection(library_selection, scale); }});
  valid.push_back({"calibrate_policy, graded losses", "selection", [](const Scale& scale) {
                     return refutes_selection(library_graded_selection, {scale.replicates / 4.0, scale.seed});
                   }});
  valid.push_back({"calibrate_policy, ties", "threshold",
                   [](const Scale& scale) { return refutes_threshold(library_threshold, scale); }});
  // What the mutants are made from: each is rejected for its mistake, not for how it is written here.
  valid.push_back(by_validity({"the mutants' betting, without a mistake", false, true, false,
                               [](mutant::Losses losses, double mean, Delta delta) {
                                 return mutant::betting_refutes(losses, mean, delta, {});
                               }}));
  valid.push_back(by_formula(
      "the mutants' Bernstein, without a mistake", Formula::empirical_bernstein,
      [](mutant::Losses losses, Delta beta) { return mutant::bernstein(losses, beta, {}); }, true));
  valid.push_back(by_input("hoeffding_bentkus_upper", hoeffding_bentkus_upper));
  valid.push_back(by_input("hoeffding_bentkus_lower", hoeffding_bentkus_lower));
  valid.push_back(by_input("empirical_bernstein_upper", empirical_bernstein_upper));
  valid.push_back(by_input("empirical_bernstein_lower", empirical_bernstein_lower));
  valid.push_back(by_input("betting_upper", betting_upper));
  valid.push_back(by_input("betting_lower", betting_lower));
  return valid;
}

}  // namespace mpp::statistical

#pragma once
#include <cstdint>
#include <span>

#include <mpp/core/control/bound.hpp>

/// Finite-sample confidence limits for the mean of independent, identically distributed losses in [0, 1].
///
/// Every limit is one-sided and wrong with probability at most `beta` over the draw of the sample, for any distribution
/// and any sample size; none is asymptotic. Results lie in [0, 1] and are rounded outward, so the promise survives
/// floating point (the argument is in docs/guarantees.md). A two-sided interval spends beta twice. Each function looks
/// at one sample of a size that was fixed beforehand; only the betting limits also survive optional stopping.
///
/// Every function throws ValueError for an empty sample, a loss that is NaN or outside [0, 1], a beta outside (0, 1) or
/// more than `most_samples` losses, and BackendUnavailable in a thread whose rounding mode is not to nearest.
/// Tested by: tests/statistical/
namespace mpp::guarantees {

inline constexpr std::uint64_t most_samples = std::uint64_t{1} << 32;

/// Outcomes of n independent trials with loss 0 or 1. Integers: k = n * mean is wrong in floating point.
struct Count {
  std::uint64_t violations{};
  std::uint64_t n{};
};

/// What the caller knows of the losses before drawing them. Never guessed from the sample: a method that is chosen by
/// looking at the data does not keep its level.
enum class LossKind : std::uint8_t {
  binary,  ///< 0 or 1
  graded,  ///< anything in [0, 1]
};

/// The exact limit for losses 0 or 1: the smallest R with P(Bin(n, R) <= violations) <= beta. 1 if all are violations.
/// Result: the smallest such double, or one unit in the last place above it; for a beta below 2^-1022, which a tail may
/// not reach, 1. Takes O(min(violations, n - violations)):
/// microseconds for a few violations, 0.1 s for 5 million of 10 million.
/// Source: Clopper and Pearson 1934.
[[nodiscard]] double clopper_pearson_upper(Count count, Delta beta);
/// The largest L with P(Bin(n, L) >= violations) <= beta. 0 without violations, and where L is below 2^-900.
[[nodiscard]] double clopper_pearson_lower(Count count, Delta beta);

/// Two bounds of the same tail, so their minimum costs nothing: Chernoff's exp(-n KL(mean || R)) and Bentkus'
/// e P(Bin(n, R) <= ceil(sum)). A fair fallback for graded losses whose order is unknown.
/// Source: Hoeffding 1963, Theorem 1; Bentkus 2004, Theorem 1.2; combined as in Bates et al. 2021, Section 3.1.
[[nodiscard]] double hoeffding_bentkus_upper(std::span<const double> losses, Delta beta);
[[nodiscard]] double hoeffding_bentkus_lower(std::span<const double> losses, Delta beta);

/// mean + sqrt(2 V ln(2 / beta) / n) + 7 ln(2 / beta) / (3 (n - 1)), V the unbiased sample variance. 1 for n = 1.
/// In closed form; loses to betting at every size, most at small ones.
/// Source: Maurer and Pontil 2009, Theorem 4.
[[nodiscard]] double empirical_bernstein_upper(std::span<const double> losses, Delta beta);
[[nodiscard]] double empirical_bernstein_lower(std::span<const double> losses, Delta beta);

/// The smallest R at which a gambler who bets on "the mean is below R" would have multiplied the stake by 1 / beta.
/// The bets follow the order of the losses, which must not be chosen by their values.
/// Source: Waudby-Smith and Ramdas 2024, Section 4; as a risk limit Bates et al. 2021, Section 3.1.3.
[[nodiscard]] double betting_upper(std::span<const double> losses, Delta beta);
[[nodiscard]] double betting_lower(std::span<const double> losses, Delta beta);

/// Clopper-Pearson for binary losses, betting for graded ones.
/// @throws ValueError also if the kind is binary and a loss is neither 0 nor 1
[[nodiscard]] double recommended_upper(std::span<const double> losses, LossKind kind, Delta beta);
[[nodiscard]] double recommended_lower(std::span<const double> losses, LossKind kind, Delta beta);

/// p-values of "the mean is above risk": P(p <= beta) <= beta for every beta, if it is. Rounded up, at most 1, never 0.
/// @param risk in [0, 1]
[[nodiscard]] double binomial_p(Count count, double risk);
[[nodiscard]] double hoeffding_bentkus_p(std::span<const double> losses, double risk);
/// @param tuned  the level at which the bets are sharpest; any choice made before the losses are seen is valid
[[nodiscard]] double betting_p(std::span<const double> losses, double risk, Delta tuned = Delta{0.05});

}  // namespace mpp::guarantees

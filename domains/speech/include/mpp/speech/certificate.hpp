#pragma once
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>

#include <mpp/speech/ctc_search.hpp>

namespace mpp::speech {

/// What no labelling other than the answer exceeds: upper bounds on max over y != answer of ln P(y).
struct Certificate {
  double mass;    ///< S1: conservation of the total mass
  double chains;  ///< S3: charges along a chain of prefixes
  double whole;   ///< the suffix bound of all frames: no labelling at all exceeds it
  double best() const { return std::min({mass, chains, whole}); }
  friend bool operator==(const Certificate&, const Certificate&) = default;
};

inline double mass_of(const Hypothesis& h) {
  return static_cast<double>(h.blank_mass) + static_cast<double>(h.label_mass);
}

/// Largest sum of mass(hypothesis) over a chain of live prefixes: what one labelling can begin with. In 2^exponent().
template <class Policy, class Mass>
double largest_chain(const BasicCtcSearch<Policy>& search, const Mass& mass) {
  const auto& trie = search.trie();
  double most = 0.0;
  for (const Hypothesis& h : search.live()) {  // the deepest live prefix of a chain names all of it
    double sum = 0.0;
    for (std::uint32_t n = h.node; n != no_index; n = trie.parent(n))
      if (const std::uint32_t slot = trie.slot(n); slot != no_index) sum += mass(search.live()[slot]);
    most = std::max(most, sum);
  }
  return most;
}

/// The most that any labelling has been charged. In 2^unit().
template <class Policy>
double largest_charge(BasicCtcSearch<Policy>& search) {
  return std::max(static_cast<double>(search.trie().outside()), search.trie().largest_charge());
}

/// Reads the certificates from a search that has run over all frames; labels that it has committed belong to the
/// answer. docs/speech.md proves both.
///
/// @param total         mass of all paths, rounded up (mass_bounds())
/// @param whole         suffix bound of all frames
/// @param answer        node of the answer, no_index if the search does not know it
/// @param answer_lower  lower bound of ln P(answer)
template <class Policy>
Certificate certify(BasicCtcSearch<Policy>& search, double total, const Scaled& whole, std::uint32_t answer,
                    double answer_lower) {
  const double rounding = search_rounding(search.frames());
  const double shrink = std::exp(-rounding) * (1.0 - 0x1p-40);
  const auto scale = [](double x, std::int64_t exponent) {  // exact, or 0 where it may only become smaller
    return exponent < -600 ? 0.0 : std::scalbn(x, static_cast<int>(exponent));
  };
  double found = std::exp(std::min(0.1, answer_lower)) * (1.0 - 0x1p-40);
  double second = 0.0, largest = largest_charge(search);
  for (const Hypothesis& h : search.live()) {
    if (h.node == answer) continue;
    found += scale(mass_of(h), search.exponent()) * shrink;
    second = std::max(second, mass_of(h));
  }
  const double missing = std::max(0.0, total - found * (1.0 - 0x1p-44)) * (1.0 + 0x1p-40);
  const double second_up = Scaled::up(second).times_power(search.exponent()) * std::exp(rounding);
  Certificate result{log_up((second_up + missing) * (1.0 + 0x1p-40), 0), 0.0,
                     log_up(static_cast<double>(whole.mantissa), whole.exponent)};

  const float* const charges = search.trie().sum_chains();
  for (const Hypothesis& h : search.live())
    if (h.node != answer)
      largest = std::max(largest, Scaled::up(mass_of(h)).times_power(search.exponent() - search.unit()) +
                                      static_cast<double>(charges[h.node]));
  result.chains = log_up(largest * (1.0 + 0x1p-50), search.unit()) + rounding;
  return result;
}

/// ln(largest other / answer) for a bound on the numerator, rounded up; 0 when nothing can be larger.
inline double gap_above(double others_upper, double answer_lower) {
  if (others_upper <= answer_lower) return 0.0;
  if (answer_lower == -std::numeric_limits<double>::infinity()) return std::numeric_limits<double>::infinity();
  return std::nextafter(others_upper - answer_lower, std::numeric_limits<double>::infinity());
}

}  // namespace mpp::speech

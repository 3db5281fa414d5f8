#include <algorithm>

#include "attention_tv.hpp"
#include "mpp/core/error.hpp"
#include "mpp/llm/attention_bound.hpp"

namespace mpp::llm {
namespace {

/// Sums over the pages that the forms of the output error need. Rounded up, `least_energy` down.
struct OutputSums {
  double square = 0.0;    ///< sum m (e^c - 1)^2
  double by_page = 0.0;   ///< sum (e^c - 1) (sqrt(m E) + m |o~|)
  double residual = 0.0;  ///< sum m e^c nu
  double largest_residual = 0.0;
  double energy = 0.0;
  double least_energy = 0.0;

  OutputSums(const AttentionRead& read, double output_norm) noexcept {
    const TrueRange masses(read.rounding.mass), energies(read.rounding.energy);
    const double added = added_radius(read.rounding);
    for (const AttentionPage& page : read.pages) {
      const double mass = masses.largest(page.mass);
      const double page_energy = energies.largest(page.energy);
      energy = sum_up(energy, page_energy);
      least_energy = std::max(0.0, below(least_energy + energies.smallest(page.energy)));
      if (mass == 0.0) continue;
      const double rise = RadiusTerms(sum_up(page.radius, added)).rise;
      square = sum_up(square, product_up(product_up(mass, rise), rise));
      const double spread = sum_up(product_up(root_up(mass), root_up(page_energy)), product_up(mass, output_norm));
      by_page = sum_up(by_page, product_up(rise, spread));
      residual = sum_up(residual, product_up(product_up(mass, above(1.0 + rise)), page.residual));
      largest_residual = std::max(largest_residual, page.residual);
    }
  }
};

/// |sum p_i v_i - sum p~_i v~_i| over the pages read alone.
double kept_error(const OutputSums& sums, double kept, double square_of_mean) noexcept {
  const double variance = std::max(0.0, above(sums.energy - square_of_mean));
  const double moved = std::min(product_up(root_up(sums.square), root_up(variance)), sums.by_page);
  if (kept <= 0.0) return infinity;
  const double residual = std::min(quotient_up(sums.residual, kept), sums.largest_residual);
  return sum_up(quotient_up(moved, kept), residual);
}

}  // namespace

AttentionOutputBound attention_output_bound(const AttentionRead& read) {
  check_read(read, "attention_output_bound");
  const double norm = sum_up(read.output_norm, read.rounding.output);
  const double least_norm = std::max(0.0, below(read.output_norm - read.rounding.output));
  const double square_of_mean = std::max(0.0, below(least_norm * least_norm));
  const TvSums weights(read);
  const OutputSums sums(read, norm);
  expects<ValueError>(square_of_mean <= sums.energy && square_of_mean < infinity,
                      "attention_output_bound: output_norm^2 is at least ", square_of_mean,
                      ", above the sum of all energies, ", sums.energy, ": they belong to different reads");
  const Omitted omitted = omitted_weight(read);
  double error = weights.largest_rise < infinity ? kept_error(sums, weights.kept, square_of_mean) : infinity;
  if (error < infinity) {
    // (1 - share) error + share |v - o~| over omitted tokens, written so that it is monotone in every part
    const double distance = above(sum_up(omitted.value_norm, norm) - error);
    const double share = omitted_share(omitted.weight, weights.kept);
    error = sum_up(error, product_up(share, std::max(0.0, distance)));
  }
  error = sum_up(error, read.rounding.output);
  const double rms = below(std::sqrt(sums.least_energy));
  return {error, error == 0.0 ? 0.0 : rms > 0.0 ? quotient_up(error, rms) : infinity};
}

}  // namespace mpp::llm

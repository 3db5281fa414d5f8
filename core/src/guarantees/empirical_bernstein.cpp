#include <algorithm>
#include <cmath>

#include <mpp/core/guarantees/limits.hpp>

#include "src/guarantees/bisect.hpp"
#include "src/guarantees/check.hpp"
#include "src/guarantees/double_double.hpp"
#include "src/guarantees/loss_sum.hpp"

namespace mpp::guarantees {
namespace {

// sqrt(2 V ln(2 / beta) / n) + 7 ln(2 / beta) / (3 (n - 1)), rounded up. The squares are summed about a rounded mean:
// about any other centre than the mean their sum is larger, never smaller. Squares and sums have a relative error of a
// few units, the square root halves it, and squares below the normal range are covered by 2^-900.
double radius(std::span<const double> losses, double centre, double beta) {
  DoubleDouble squares{0x1p-900, 0.0};
  for (const double loss : losses) {
    const double distance = loss - centre;
    squares = squares + DoubleDouble{distance * distance, 0.0};
  }
  const double n = static_cast<double>(losses.size());
  const double log = std::log(2.0 / beta);
  return (std::sqrt(2.0 * squares.high / (n - 1.0) * log / n) + 7.0 * log / (3.0 * (n - 1.0))) * (1.0 + 0x1p-48);
}

}  // namespace

double empirical_bernstein_upper(std::span<const double> losses, Delta beta) {
  check_losses("empirical_bernstein_upper", losses);
  check_beta("empirical_bernstein_upper", beta);
  if (losses.size() == 1) return 1.0;
  const LossSum sum(losses, LossSum::Round::up);
  return std::min(1.0, (sum.mean_up() + radius(losses, sum.mean(), beta.value)) * (1.0 + 0x1p-51));
}

double empirical_bernstein_lower(std::span<const double> losses, Delta beta) {
  check_losses("empirical_bernstein_lower", losses);
  check_beta("empirical_bernstein_lower", beta);
  if (losses.size() == 1) return 0.0;
  const LossSum sum(losses, LossSum::Round::down);
  return std::max(0.0, difference_down(sum.mean_down(), radius(losses, sum.mean(), beta.value)));
}

}  // namespace mpp::guarantees

#include <algorithm>
#include <cmath>
#include <limits>

#include <mpp/core/guarantees/limits.hpp>

#include "src/guarantees/binomial_tail.hpp"
#include "src/guarantees/bisect.hpp"
#include "src/guarantees/check.hpp"

namespace mpp::guarantees {
namespace {

enum class Side { upper, lower };

// The end x of [0, 1] beyond which the tail is at most beta. Newton's iteration only proposes where to look; what is
// returned is the outer end of a bracket, where the tail, rounded up, was seen to be at most beta.
double limit(Side side, const BinomialTail& tail, double beta, double x) {
  double good = side == Side::upper ? 1.0 : 0.0;
  double bad = 1.0 - good;
  const auto at = [&](double y) {
    const DoubleDouble rest = exact_sum(1.0, -y);
    return side == Side::upper ? tail.at({y, 0.0}, rest) : tail.at(rest, {y, 0.0});
  };
  const auto inside = [&](double y) { return std::min(good, bad) < y && y < std::max(good, bad); };
  if (!inside(x)) x = 0.5;
  // log(tail) is concave in log(q): after one step the iteration approaches from the good side and stays there.
  for (int step = 0; step < 200; ++step) {
    const auto value = at(x);
    (value.upper <= beta ? good : bad) = x;
    const double q = side == Side::upper ? 1.0 - x : x;
    const double move = q * std::expm1((std::log(beta) - value.log) / value.elasticity);
    double next = side == Side::upper ? x - move : x + move;
    if (std::abs(next - x) <= 4e-16 * x) break;
    if (!inside(next)) next = 0.5 * (good + bad);
    if (!inside(next)) break;
    x = next;
  }
  return outer_end_near(x, good, bad, [&](double y) { return at(y).upper <= beta; });
}

// Wilson's interval with a z that is a little too large: near the root, mostly on its good side.
double wilson(Count count, double beta, double sign) {
  const auto k = static_cast<double>(count.violations);
  const auto n = static_cast<double>(count.n);
  const double z2 = 2.0 * std::log(1.0 / beta);
  return (k + 0.5 * z2 + sign * std::sqrt(z2 * (k * (1.0 - k / n) + 0.25 * z2))) / (n + z2);
}

}  // namespace

double clopper_pearson_upper(Count count, Delta beta) {
  check_count("clopper_pearson_upper", count);
  check_beta("clopper_pearson_upper", beta);
  const auto [k, n] = count;
  if (k == n) return 1.0;
  const BinomialTail tail(k, n);
  return limit(Side::upper, tail, beta.value, wilson(count, beta.value, 1.0));
}

double clopper_pearson_lower(Count count, Delta beta) {
  check_count("clopper_pearson_lower", count);
  check_beta("clopper_pearson_lower", beta);
  const auto [k, n] = count;
  if (k == 0) return 0.0;
  const BinomialTail tail(n - k, n);  // P(X >= k) = P(n - X <= n - k)
  return limit(Side::lower, tail, beta.value, wilson(count, beta.value, -1.0));
}

double binomial_p(Count count, double risk) {
  check_count("binomial_p", count);
  check_risk("binomial_p", risk);
  check_rounding("binomial_p");
  if (count.violations == count.n) return 1.0;
  return std::max(BinomialTail(count.violations, count.n).at({risk, 0.0}, exact_sum(1.0, -risk)).upper,
                  std::numeric_limits<double>::min());
}

}  // namespace mpp::guarantees

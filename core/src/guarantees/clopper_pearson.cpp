#include <algorithm>
#include <cmath>

#include <mpp/core/guarantees/limits.hpp>

#include "src/guarantees/binomial_tail.hpp"
#include "src/guarantees/bisect.hpp"
#include "src/guarantees/check.hpp"

namespace mpp::guarantees {
namespace {

enum class Side { upper, lower };

// The limit x is sought between `good`, where the tail is certainly <= beta, and `bad`, where that is not shown. Only a
// tail that is rounded up moves `good`, and `good` is what is returned: the outer end, whatever happens on the way.
class Search {
 public:
  Search(Side side, const BinomialTail& tail, double beta)
      : side_(side), tail_(tail), beta_(beta), good_(side == Side::upper ? 1.0 : 0.0), bad_(1.0 - good_) {}

  double limit(double start) {
    finish(newton(start));
    return good_;
  }

 private:
  BinomialTail::Value probe(double x) {
    const DoubleDouble rest = exact_sum(1.0, -x);
    const auto value = side_ == Side::upper ? tail_.at({x, 0.0}, rest) : tail_.at(rest, {x, 0.0});
    (value.upper <= beta_ ? good_ : bad_) = x;
    return value;
  }
  bool inside(double x) const { return std::min(good_, bad_) < x && x < std::max(good_, bad_); }

  // log(tail) is concave in log(q): after one step Newton's iteration approaches from the good side and stays there.
  double newton(double x) {
    if (!inside(x)) x = 0.5;
    for (int step = 0; step < 200; ++step) {
      const auto value = probe(x);
      const double q = side_ == Side::upper ? 1.0 - x : x;
      const double move = q * std::expm1((std::log(beta_) - value.log) / value.elasticity);
      double next = side_ == Side::upper ? x - move : x + move;
      if (std::abs(next - x) <= 4e-16 * x) break;
      if (!inside(next)) next = 0.5 * (good_ + bad_);
      if (!inside(next)) break;
      x = next;
    }
    return x;
  }

  // Newton stops a few units in the last place from the root: enclose it by doubling steps, then bisect.
  void finish(double x) {
    const double& target = x == good_ ? bad_ : good_;
    const double far_end = target;
    for (std::int64_t step = 1; target == far_end; step *= 2) {
      const std::int64_t room = bits(target) - bits(x);
      if (std::abs(room) <= step) break;
      x = from_bits(bits(x) + (room > 0 ? step : -step));
      probe(x);
    }
    good_ = outer_end(good_, bad_, [&](double middle) { return probe(middle).upper <= beta_; });
  }

  Side side_;
  const BinomialTail& tail_;
  double beta_;
  double good_;
  double bad_;
};

// Wilson's interval with a z that is a little too large: near the root, mostly on its good side.
double wilson(double k, double n, double beta, double sign) {
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
  return Search(Side::upper, tail, beta.value)
      .limit(wilson(static_cast<double>(k), static_cast<double>(n), beta.value, 1.0));
}

double clopper_pearson_lower(Count count, Delta beta) {
  check_count("clopper_pearson_lower", count);
  check_beta("clopper_pearson_lower", beta);
  const auto [k, n] = count;
  if (k == 0) return 0.0;
  const BinomialTail tail(n - k, n);  // P(X >= k) = P(n - X <= n - k)
  return Search(Side::lower, tail, beta.value)
      .limit(wilson(static_cast<double>(k), static_cast<double>(n), beta.value, -1.0));
}

double binomial_p(Count count, double risk) {
  check_count("binomial_p", count);
  check_risk("binomial_p", risk);
  check_rounding("binomial_p");
  if (count.violations == count.n) return 1.0;
  return std::max(BinomialTail(count.violations, count.n).at({risk, 0.0}, exact_sum(1.0, -risk)).upper, 0x1p-988);
}

}  // namespace mpp::guarantees

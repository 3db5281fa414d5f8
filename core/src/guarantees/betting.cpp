#include <algorithm>
#include <cmath>
#include <vector>

#include <mpp/core/guarantees/limits.hpp>

#include "src/guarantees/bisect.hpp"
#include "src/guarantees/check.hpp"

namespace mpp::guarantees {
namespace {

enum class Side { upper, lower };

/// Wealth of a gambler who starts with 1 and bets the share nu_i against "the mean is x". If it is, the wealth is a
/// martingale >= 0, so the chance that it ever reaches 1 / beta is at most beta (Ville 1939).
class Gambler {
 public:
  // nu_i depends on the losses before i only; that alone makes it valid, so it needs no care with rounding. It is the
  // same for 1 - losses, so both sides use it. Bates et al. 2021, Section 3.1.3: prior mean 1/2, prior variance 1/4.
  Gambler(Side side, std::span<const double> losses, double beta)
      : side_(side), losses_(losses), shares_(losses.size()) {
    const double aim = 2.0 * std::log(1.0 / beta) / static_cast<double>(losses.size());
    double sum = 0.5;
    double squares = 0.25;
    for (std::size_t i = 0; i < losses.size(); ++i) {
      const double count = static_cast<double>(i) + 1.0;
      shares_[i] = std::min(1.0, std::sqrt(aim * count / squares));  // squares / count: variance up to i - 1
      sum += losses[i];
      const double distance = losses[i] - sum / (count + 1.0);
      squares += distance * distance;
    }
  }

  /// The largest wealth on the way, never above the truth; stops once it has reached `enough`.
  //
  // With d = loss - x, nu d and 1 - nu d have absolute errors below u, u and 2 u; taking 2^-49 = 16 u off covers these
  // 4 u, the rounding of that subtraction (2 u) and of the product (at most 2 u of a factor <= 2).
  double best(double x, double enough) const {
    double best = 1.0;
    double wealth = 1.0;
    int shift = 0;  // the wealth is wealth * 2^(500 shift): it may fall very low and come back
    for (std::size_t i = 0; i < losses_.size(); ++i) {
      const double gain = shares_[i] * (side_ == Side::upper ? x - losses_[i] : losses_[i] - x);
      wealth *= std::max(0.0, (1.0 + gain) - 0x1p-49);
      if (wealth < 0x1p-500) {
        if (wealth == 0.0) break;
        wealth *= 0x1p500;
        --shift;
      } else if (shift < 0 && wealth >= 1.0) {
        wealth *= 0x1p-500;
        ++shift;
      }
      if (shift == 0 && wealth > best) {
        best = wealth;
        if (best >= enough) break;
      }
    }
    return best;
  }

  /// The innermost x that is refuted, rounded outward: the wealth there, rounded down, has reached 1 / beta.
  double limit(double beta) const {
    const double enough = 1.0 / beta * (1.0 + 0x1p-51);
    double good = side_ == Side::upper ? 1.0 : 0.0;
    double bad = 1.0 - good;
    const double plenty = std::max(enough, 0x1p900);  // far from overflow, and far enough for a secant
    double good_excess = std::log(best(good, plenty) / enough);
    if (!(good_excess >= 0.0)) return good;
    double bad_excess = -std::log(enough);
    // Regula falsi proposes where to look (Illinois: an end that stays put twice counts half).
    double x = good;
    int run = 0;  // how often the same end has moved: > 0 the good one, < 0 the bad one
    for (int step = 0; step < 40; ++step) {
      const double next = good + (bad - good) * (good_excess / (good_excess - bad_excess));
      if (!(std::abs(next - x) > 4e-16 * x)) break;
      x = next;
      const double excess = std::log(best(x, plenty) / enough);
      const bool held = excess >= 0.0;
      (held ? good : bad) = x;
      (held ? good_excess : bad_excess) = excess;
      run = held ? std::max(run, 0) + 1 : std::min(run, 0) - 1;
      if (std::abs(run) > 1) (held ? bad_excess : good_excess) *= 0.5;
    }
    return outer_end_near(x, good, bad, [&](double y) { return best(y, enough) >= enough; });
  }

 private:
  Side side_;
  std::span<const double> losses_;
  std::vector<double> shares_;
};

}  // namespace

double betting_upper(std::span<const double> losses, Delta beta) {
  check_losses("betting_upper", losses);
  check_beta("betting_upper", beta);
  return Gambler(Side::upper, losses, beta.value).limit(beta.value);
}

double betting_lower(std::span<const double> losses, Delta beta) {
  check_losses("betting_lower", losses);
  check_beta("betting_lower", beta);
  return Gambler(Side::lower, losses, beta.value).limit(beta.value);
}

double betting_p(std::span<const double> losses, double risk, Delta tuned) {
  check_losses("betting_p", losses);
  check_risk("betting_p", risk);
  check_beta("betting_p", tuned);
  const double wealth = Gambler(Side::upper, losses, tuned.value).best(risk, 0x1p988);
  return std::clamp(1.0 / wealth * (1.0 + 0x1p-51), 0x1p-988, 1.0);
}

}  // namespace mpp::guarantees

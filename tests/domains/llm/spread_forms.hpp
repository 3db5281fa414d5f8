#pragma once
#include "domains/llm/spread_adversary.hpp"

namespace mpp::llm {

/// Mistakes about what the tokens of a page are off by together.
enum class SpreadFault {
  none,
  ratio_squared,    ///< r^2 where r holds, r^4 where r^2 holds
  tokens_alike,     ///< the mean over tokens instead of the mean under p~
  value_over_mass,  ///< the mean of value errors as spread / M instead of spread / sqrt(M)
};

/// The sums of a case in long double, from what its pages know, each then rounded outward once.
struct SpreadSums {
  long double excess = 0.0L, excess_square = 0.0L, paged_excess = 0.0L;
  long double variance = 0.0L, affinity = 0.0L, shrink = 0.0L;
  long double lift = 0.0L, lift_square = 0.0L, cosh_square = 0.0L, sinh = 0.0L;
  long double residual = 0.0L, energy = 0.0L;

  explicit SpreadSums(const AttentionCase& read, SpreadFault fault = SpreadFault::none) {
    for (std::size_t page = 0; page < read.radius.size(); ++page) {
      const long double c = read.radius[page];
      long double m = 0.0L, heaviest = 0.0L, tokens = 0.0L, square = 0.0L;
      for (std::size_t i = 0; i < read.tokens.size(); ++i) {
        if (read.tokens[i].page != page) continue;
        m += read.weight[i], tokens += 1.0L;
        heaviest = std::max(heaviest, read.weight[i]);
        square += read.weight[i] * norm(read.tokens[i].value) * norm(read.tokens[i].value);
      }
      if (m == 0.0L) continue;
      const long double root = fault == SpreadFault::tokens_alike ? std::sqrt(1.0L / tokens) : std::sqrt(heaviest / m);
      const long double mean = std::min(c, read.spread[page] * root);
      const long double ratio = c > 0.0L ? mean / c : 1.0L;
      const long double r = fault == SpreadFault::ratio_squared ? ratio * ratio : ratio;
      const long double rise = std::expm1(c), half_rise = std::expm1(0.5L * c);
      const long double u = 2.0L * std::pow(std::sinh(0.25L * c), 2.0L), v = 2.0L * std::pow(std::sinh(0.5L * c), 2.0L);
      excess += m * r * rise;
      excess_square += m * r * rise * r * rise;
      paged_excess += r * rise * std::sqrt(m * square);
      variance += m * r * half_rise * r * half_rise;
      affinity += m * std::max(std::exp(-0.5L * c), 1.0L - 0.5L * r * c);
      shrink += m * std::max(std::exp(-c), 1.0L - r * c);
      lift += m * r * r * u;
      lift_square += m * r * r * u * u;
      cosh_square += m * r * r * v * v;
      sinh += m * r * std::sinh(c);
      const long double of_mass = fault == SpreadFault::value_over_mass ? root * root : root;
      residual += m * std::min<long double>(read.residual[page], read.value_spread[page] * of_mass);
      energy += square;
    }
  }
};

/// The closed forms, each with what it needs and with nothing that another one could be made of.
enum class SpreadForm { t1, t3, t4, t5, o1, o2, o3 };
inline kernels::CertificateSums alone(SpreadForm form, const AttentionCase& read, SpreadFault fault,
                                      double most = 1e300) {
  const auto up = [](long double x) { return x == 0.0L ? 0.0 : std::nextafter(static_cast<double>(x), infinity); };
  const auto down = [](long double x) { return std::max(0.0, std::nextafter(static_cast<double>(x), -infinity)); };
  const SpreadSums of(read, fault);
  kernels::CertificateSums sums{.excess = most,  // finite: what is infinite is unknown
                                .variance = infinity,
                                .lift = infinity,
                                .lift_variance = infinity,
                                .cosh_variance = infinity,
                                .sinh = infinity,
                                .spread_lift = infinity,
                                .spread_lift_square = infinity,
                                .spread_cosh_square = infinity,
                                .spread_sinh = infinity,
                                .radius = infinity,
                                .excess_square = infinity,
                                .paged_excess = infinity,
                                .value_residual = up(of.residual),
                                .energy = up(of.energy),
                                .output_rounding = read.rounding.output};
  if (form == SpreadForm::t1 || form == SpreadForm::o2) sums.excess = up(of.excess);
  if (form == SpreadForm::t3) sums.variance = up(of.variance), sums.affinity = down(of.affinity);
  if (form == SpreadForm::t4 || form == SpreadForm::t5 || form == SpreadForm::o3)
    sums.spread_lift = up(of.lift), sums.spread_lift_square = up(of.lift_square);
  if (form == SpreadForm::t5 || form == SpreadForm::o3) sums.spread_cosh_square = up(of.cosh_square);
  if (form == SpreadForm::t5) sums.spread_sinh = up(of.sinh);
  if (form == SpreadForm::o1) sums.excess_square = up(of.excess_square);
  if (form == SpreadForm::o2) sums.paged_excess = up(of.paged_excess);
  if (form == SpreadForm::o1 || form == SpreadForm::o2) sums.shrink = down(of.shrink);
  return sums;
}

/// What certify() makes of one form, and the largest that was found to be true. T5 is told the truth: it holds for any bound of
/// the total variation, and that is the least.
struct Judged {
  long double truth;
  double bound;
};
inline Judged judged(SpreadForm form, const AttentionCase& read, SpreadFault fault) {
  const Realised worst = worst_together(read);
  const auto length = static_cast<double>(norm(read.output));
  const double most = form == SpreadForm::t5 ? std::nextafter(static_cast<double>(worst.tv), infinity) : 1e300;
  const AttentionCertificate made = certify(alone(form, read, fault, most), length);
  return form < SpreadForm::o1 ? Judged{worst.tv, made.attention_tv} : Judged{worst.error, made.output_error};
}

}  // namespace mpp::llm

#pragma once
#include <functional>
#include <numeric>

#include "domains/llm/attention_case.hpp"

namespace mpp::llm {

using TvBound = std::function<double(const AttentionCase&)>;

inline double closed(const AttentionCase& read) { return attention_tv_bound(read.read()); }
inline double supremum(const AttentionCase& read) { return attention_tv_supremum(read.read()); }

struct Trial {
  std::size_t cases;
  std::size_t most_tokens = 5;
  bool omit = false;
};
/// How many of the cases have an exact cache beyond the bound, or a bound outside [0, 1].
inline std::size_t violations(const TvBound& bound, Trial trial) {
  AttentionCases source(1, trial.most_tokens);
  std::size_t violated = 0;
  for (std::size_t i = 0; i < trial.cases; ++i) {
    const AttentionCase read = source.next(trial.omit);
    const double limit = bound(read);
    if (!(worst(read).tv <= limit && limit <= 1.0)) ++violated;
  }
  return violated;
}

/// sum m f(c) over pages, in long double; m as large as the conversion to double allows.
template <class Function>
long double mean(const AttentionCase& read, Function&& f) {
  long double sum = 0.0L;
  for (const AttentionPage& page : read.pages)
    sum += (page.mass + 0x1p-1074L) * f(static_cast<long double>(page.radius));
  return sum;
}
inline double largest_radius(const AttentionCase& read) {
  return *std::max_element(read.radius.begin(), read.radius.end());
}
inline double at_most_one(long double tv) { return static_cast<double>(std::min(1.0L, tv)); }

// True bounds that ours replace.
inline double e_form(const AttentionCase& read) {
  const long double rise = mean(read, [](long double c) { return std::expm1(c); });  // A - 1
  return at_most_one(0.5L * rise * (rise + 2.0L));
}
inline double tanh_form(const AttentionCase& read) { return std::tanh(largest_radius(read)); }
inline double min3(const AttentionCase& read) {
  const auto g = [](long double u) { return u == 0.0L ? 1.0L : std::expm1(u) / u; };
  const long double a1 = mean(read, [](long double c) { return c; });
  const long double a2 = mean(read, [](long double c) { return c * c * std::exp(c); });
  const long double a3 = mean(read, [](long double c) { return c * std::exp(c); });
  const long double tangent = std::tanh(0.5L * largest_radius(read));
  return at_most_one(std::min({0.5L * std::sqrt(a2) * g(0.5L * a1), a3 * g(a1), tangent}));
}

/// T5 with the smallest of the others for the total variation on its right-hand side.
inline double set_form(const AttentionCase& read, double most, bool of_second_order = true) {
  const long double k = mean(read, [](long double c) { return std::cosh(c); });
  const long double first = mean(read, [](long double c) { return std::sinh(c); });
  const long double root = std::sqrt(mean(read, [](long double c) { return std::sinh(c) * std::sinh(c); }));
  const long double apart =
      std::sqrt(std::max(0.0L, mean(read, [&](long double c) { return (std::cosh(c) - k) * (std::cosh(c) - k); })));
  const long double spread = std::sqrt(std::max(0.0L, root * root - first * first));
  const long double slope = std::sqrt(0.5L * root * std::max(0.0L, root - first));
  if (!of_second_order) return at_most_one(0.25L * (first + root) / k);
  const long double cut = k - slope - root * most, middle = k - spread - 2.0L * first * most;
  if (cut <= 0.0L || middle <= 0.0L) return 1.0;
  return at_most_one(std::max((0.25L * (first + root) + 0.5L * apart) / cut, 0.5L * (first + apart) / middle));
}

// False ones.
inline double set_form_of_first_order(const AttentionCase& read) { return set_form(read, 1.0, false); }
inline double spread_form(const AttentionCase& read) {
  const long double average = mean(read, [](long double c) { return c; }), c = largest_radius(read);
  const long double spread = mean(read, [&](long double x) { return std::abs(x - average); });
  return at_most_one(0.5L * std::exp(2.0L * c) * (spread + average * std::expm1(c)));
}
inline double averaged_before_the_exponential(const AttentionCase& read) {
  return at_most_one(std::expm1(mean(read, [](long double c) { return c; })));
}
inline double variances_averaged(const AttentionCase& read) {
  return at_most_one(0.5L * std::expm1(std::sqrt(mean(read, [](long double c) { return c * c; }))));
}
inline double tanh_to_nearest(const AttentionCase& read) { return std::tanh(0.5 * largest_radius(read)); }

/// Whole pages only, those with a radius of at least one threshold or at most another.
inline double two_threshold_scan(const AttentionCase& read) {
  std::vector<std::size_t> order(read.pages.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::sort(order.begin(), order.end(), [&](auto a, auto b) { return read.radius[a] < read.radius[b]; });
  long double most = 0.0L;
  for (std::size_t low = 0; low <= order.size(); ++low)
    for (std::size_t high = low; high <= order.size(); ++high) {
      long double in = 0.0L, out = 0.0L, mass = 0.0L;
      for (std::size_t k = 0; k < order.size(); ++k) {
        const long double m = read.pages[order[k]].mass, c = read.radius[order[k]];
        if (k < low || k >= high) {
          in += m * std::exp(c);
          mass += m;
        } else {
          out += m * std::exp(-c);
        }
      }
      if (in > 0.0L) most = std::max(most, in / (in + out) - mass);
    }
  return at_most_one(most * (1.0L + 1e-12L) + 1e-15L);
}

inline double without_omitted(AttentionCase read) {
  read.omitted.clear();
  return closed(read);
}
/// The omitted share beside the computed weights instead of the least weights the radii allow.
inline double omitted_beside_all_weight(const AttentionCase& read) {
  long double weight = 0.0L;
  for (const OmittedPage& page : read.omitted)
    weight += static_cast<long double>(page.tokens) * std::exp(page.logit - read.log_sum_exp);
  const long double kept = without_omitted(read), share = weight / (1.0L + weight);
  return at_most_one(kept + share * (1.0L - kept));
}

/// max over t of t - L(t), L(t) the least mass of a set with p(S) = t when pages may be cut: a knapsack by density.
inline double attained_by_cutting(const AttentionCase& read) {
  const long double kept = mean(read, [](long double c) { return std::exp(-c); });
  double most = 0.0;
  for (int step = 1; step < 4000; ++step) {
    const long double t = step / 4000.0L;
    std::vector<std::pair<long double, long double>> density;  // and mass
    for (const AttentionPage& page : read.pages) {
      const long double c = page.radius;
      density.emplace_back((1.0L - t) * std::exp(c) + t * std::exp(-c), page.mass);
    }
    std::sort(density.rbegin(), density.rend());
    long double need = t * kept, mass = 0.0L;
    for (const auto& [d, m] : density) {
      const long double part = std::min(m, std::max(0.0L, need / d));
      need -= part * d;
      mass += part;
    }
    if (need <= 1e-18L) most = std::max(most, static_cast<double>(t - mass));
  }
  return most;
}

}  // namespace mpp::llm

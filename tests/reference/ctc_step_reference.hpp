#pragma once
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <map>
#include <span>
#include <vector>

namespace mpp::reference {

using CtcLabels = std::vector<std::uint32_t>;

/// Probabilities of a row of logarithms, each the double next to the true value.
inline std::vector<double> probabilities(std::span<const float> row) {
  std::vector<double> p;
  for (const float x : row) p.push_back(static_cast<double>(std::exp(static_cast<long double>(x))));
  return p;
}

/// CTC prefix search as one would write it down: prefixes are lists of labels, and everything about them is in maps. Masses
/// are doubles that each frame rounds to float once; what is dropped is added up in long double.
class CtcPrefixSearch {
 public:
  struct Mass {
    float blank, label;
  };
  struct Books {  // in true units, not rounded up
    long double own = 0, below = 0;
  };
  std::map<CtcLabels, Mass> live{{{}, {1.0F, 0.0F}}};
  std::map<CtcLabels, std::uint32_t> number{{{}, 0}};  // in the order in which they were first kept
  std::map<CtcLabels, Books> books{{{}, {}}};
  std::vector<CtcLabels> order{{}};  // of the live, best first
  std::int64_t exponent = 0;
  long double dropped = 0;  // true mass, times 2^exponent

  /// @param after  bound on what the frames after this one can do
  void step(std::span<const float> row, std::size_t blank, std::size_t cap, long double after) {
    const std::vector<double> p = probabilities(row);
    const auto total = [](Mass m) { return static_cast<double>(m.blank) + static_cast<double>(m.label); };
    const auto extended = [&](const CtcLabels& from, std::uint32_t label) {
      const Mass m = live.at(from);
      return p[label] * (!from.empty() && from.back() == label ? static_cast<double>(m.blank) : total(m));
    };
    std::map<CtcLabels, Mass> next;
    std::map<CtcLabels, long double> before_rounding, lost, largest_lost;
    const auto kept = [&](const CtcLabels& y, double mass) {
      before_rounding[y] += static_cast<long double>(mass);
      if (mass >= 0x1p-96) return static_cast<float>(mass);
      lost[y] += static_cast<long double>(mass);
      return 0.0F;
    };
    for (const auto& [y, m] : live) {
      double emitted = 0.0;
      if (!y.empty()) {
        emitted = p[y.back()] * static_cast<double>(m.label);
        const CtcLabels parent(y.begin(), y.end() - 1);
        if (live.contains(parent)) emitted += extended(parent, y.back());
      }
      next[y] = {kept(y, p[blank] * total(m)), kept(y, emitted)};
      for (std::uint32_t k = 0; k < p.size(); ++k) {
        CtcLabels z = y;
        z.push_back(k);
        if (k != blank && !live.contains(z)) next[z] = {0.0F, kept(z, extended(y, k))};
      }
    }
    std::vector<CtcLabels> all;
    for (const auto& [y, m] : next)
      if (total(m) > 0.0) all.push_back(y);
    const auto known = [&](const CtcLabels& y) { return number.contains(y); };
    std::sort(all.begin(), all.end(), [&](const CtcLabels& a, const CtcLabels& b) {
      const auto x = static_cast<float>(total(next[a])), y = static_cast<float>(total(next[b]));
      if (x != y) return x > y;
      if (known(a) != known(b)) return known(a);
      if (known(a)) return number[a] < number[b];
      const CtcLabels up(a.begin(), a.end() - 1), other(b.begin(), b.end() - 1);
      return up != other ? number[up] < number[other] : a.back() < b.back();
    });
    for (std::size_t i = cap; i < all.size(); ++i) lost[all[i]] = before_rounding[all[i]];
    all.resize(std::min(cap, all.size()));

    const auto before = books;
    long double sum = 0;
    for (const double x : p) sum += static_cast<long double>(x);
    dropped *= sum;
    for (const auto& [y, mass] : lost) {
      dropped += mass;
      if (known(y))
        books[y].own += std::ldexp(mass, static_cast<int>(exponent)) * after;
      else if (long double& most = largest_lost[{y.begin(), y.end() - 1}]; most < mass)
        most = mass;
    }
    for (const auto& [y, mass] : largest_lost) books[y].below += std::ldexp(mass, static_cast<int>(exponent)) * after;
    for (const CtcLabels& y : all)
      if (!known(y)) {
        const auto n = static_cast<std::uint32_t>(number.size());
        number[y] = n;
        books[y].own = before.at({y.begin(), y.end() - 1}).below;
      }
    double most = 0.0;
    for (const CtcLabels& y : all) most = std::max(most, total(next[y]));
    const int shift = most == 0.0 ? 0 : std::ilogb(most);
    live.clear();
    for (const CtcLabels& y : all) live[y] = {std::scalbn(next[y].blank, -shift), std::scalbn(next[y].label, -shift)};
    order = all;
    exponent += shift;
    dropped = std::ldexp(dropped, -shift);
  }
};

/// P(z) of every labelling z of the frames from `from` on after a frame that ended in `last`, by walking every path.
inline std::map<CtcLabels, long double> ctc_labellings(std::span<const float> log_probs, std::size_t tokens,
                                                       std::size_t blank, std::size_t from, std::size_t last) {
  std::map<CtcLabels, long double> all;
  CtcLabels labels;
  const std::size_t frames = log_probs.size() / tokens;
  const auto walk = [&](auto& self, std::size_t t, std::size_t before, long double p) -> void {
    if (t == frames) {
      all[labels] += p;
      return;
    }
    for (std::size_t k = 0; k < tokens; ++k) {
      const bool emits = k != blank && k != before;
      if (emits) labels.push_back(static_cast<std::uint32_t>(k));
      self(self, t + 1, k, p * std::exp(static_cast<long double>(log_probs[t * tokens + k])));
      if (emits) labels.pop_back();
    }
  };
  walk(walk, from, last, 1.0L);
  return all;
}

}  // namespace mpp::reference

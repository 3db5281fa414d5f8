#pragma once
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <map>
#include <vector>

#include <mpp/speech/emissions.hpp>

namespace mpp::reference {

using Labels = std::vector<std::uint32_t>;
using Labellings = std::map<Labels, long double>;

/// P(y) of every labelling y, by walking through every path: O(tokens^frames).
inline Labellings walk_paths(const speech::Emissions& e, std::size_t from = 0, std::size_t last = SIZE_MAX) {
  Labellings all;
  Labels labels;
  const auto walk = [&](auto& self, std::size_t t, std::size_t before, long double p) -> void {
    if (t == e.frames) {
      all[labels] += p;
      return;
    }
    for (std::size_t k = 0; k < e.tokens; ++k) {
      const long double q = p * std::exp(static_cast<long double>(e.row(t)[k]));
      const bool emits = k != e.blank && k != before;
      if (emits) labels.push_back(static_cast<std::uint32_t>(k));
      self(self, t + 1, k, q);
      if (emits) labels.pop_back();
    }
  };
  walk(walk, from, last == SIZE_MAX ? e.blank : last, 1.0L);
  return all;
}

/// P(y) of every labelling y of the frames from `from` on, after a frame that ended in `last` (the blank if SIZE_MAX): the
/// forward recurrence down the tree of labels, in long double.
inline Labellings all_labellings(const speech::Emissions& e, std::size_t from = 0, std::size_t last = SIZE_MAX) {
  using Column = std::vector<long double>;  // [frames + 1], after 0, 1, ... frames
  const std::size_t frames = e.frames - from;
  std::vector<long double> p(frames * e.tokens);
  for (std::size_t i = 0; i < p.size(); ++i)
    p[i] = std::exp(static_cast<long double>(e.log_probs[from * e.tokens + i]));
  Labellings all;
  Labels labels;
  const auto visit = [&](auto& self, std::size_t ends, const Column& blank, const Column& label) -> void {
    all[labels] = blank[frames] + label[frames];
    if (labels.size() == frames) return;
    for (std::size_t k = 0; k < e.tokens; ++k) {
      if (k == e.blank) continue;
      Column b(frames + 1, 0.0L), n(frames + 1, 0.0L);
      for (std::size_t t = 0; t < frames; ++t) {
        n[t + 1] = p[t * e.tokens + k] * (n[t] + blank[t] + (k == ends ? 0.0L : label[t]));
        b[t + 1] = p[t * e.tokens + e.blank] * (b[t] + n[t]);
      }
      labels.push_back(static_cast<std::uint32_t>(k));
      self(self, k, b, n);
      labels.pop_back();
    }
  };
  Column blank(frames + 1, 0.0L), label(frames + 1, 0.0L);
  (last == SIZE_MAX ? blank : label)[0] = 1.0L;
  for (std::size_t t = 0; t < frames; ++t) {
    if (last != SIZE_MAX) label[t + 1] = label[t] * p[t * e.tokens + last];
    blank[t + 1] = p[t * e.tokens + e.blank] * (blank[t] + label[t]);
  }
  visit(visit, last, blank, label);
  return all;
}

inline Labellings::const_iterator most_probable(const Labellings& all) {
  return std::max_element(all.begin(), all.end(), [](const auto& a, const auto& b) { return a.second < b.second; });
}

}  // namespace mpp::reference

#pragma once
#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <memory_resource>
#include <random>
#include <vector>

#include <mpp/speech/certificate.hpp>
#include <mpp/speech/ctc_score.hpp>
#include <mpp/speech/suffix_bound.hpp>

#include "domains/speech/ctc_scenes.hpp"
#include "reference/ctc_reference.hpp"

namespace mpp::test {

/// What a fuzz of the certificates has seen.
struct FuzzTally {
  std::size_t cases = 0, certified = 0;
  std::size_t charge_violations = 0;  ///< the charges of one labelling below what it has lost (docs/speech.md, S3)
  std::size_t chain_violations = 0;   ///< S3 below the truth
  std::size_t mass_violations = 0;    ///< S1 below the truth
  std::size_t whole_violations = 0;   ///< the bound of all frames below the truth
  std::size_t suffix_violations = 0;  ///< a suffix bound below the truth
  std::size_t score_violations = 0;   ///< ln P outside its interval
  std::size_t wrong = 0;              ///< certified, and not the most probable labelling

  std::size_t violations() const {
    return charge_violations + chain_violations + mass_violations + whole_violations + suffix_violations +
           score_violations + wrong;
  }
};

/// How a broken twin differs from the real thing.
struct Twin {
  bool max_products = false;  ///< the tempting suffix bound: the product of each frame's largest probability
  bool forget_drops = false;  ///< dropped mass is not counted
  bool check_suffix = true;
  bool ties_only = false;  ///< equal probabilities, narrow caps and no thresholds: what ties decide shows soonest
};

/// Upper bound of ln P of one labelling: the charges on its way through the trie, and its mass if it is live.
template <class Policy>
double charged_log_probability(const speech::BasicCtcSearch<Policy>& search, const reference::Labels& labels) {
  const auto& trie = search.trie();
  std::uint32_t node = 0;
  double charges = static_cast<double>(trie.own(0));
  std::size_t known = 0;
  for (; known < labels.size(); ++known) {
    std::uint32_t child = trie.first_child(node);
    while (child != speech::no_index && trie.label(child) != labels[known]) child = trie.next_sibling(child);
    if (child == speech::no_index) break;
    node = child;
    charges += static_cast<double>(trie.own(node));
  }
  if (known < labels.size()) charges += static_cast<double>(trie.below(node));
  double mass = 0.0;
  for (const speech::Hypothesis& h : search.live())
    if (known == labels.size() && h.node == node)
      mass = static_cast<double>(h.blank_mass) + static_cast<double>(h.label_mass);
  const double all =
      std::scalbn(charges, static_cast<int>(search.unit())) + std::scalbn(mass, static_cast<int>(search.exponent()));
  return std::log(all) + speech::search_rounding(search.frames());
}

/// Runs small random searches against enumeration.
template <class Policy>
FuzzTally fuzz_certificates(std::size_t cases, std::uint64_t seed, Twin twin = {}) {
  using namespace speech;
  constexpr double slack = 1e-12;  // of the enumeration: 2^-64 per operation, a few hundred operations, and one log()
  FuzzTally tally;
  std::mt19937_64 random(seed);
  const auto pick = [&](std::size_t low, std::size_t high) { return low + random() % (high - low + 1); };
  for (; tally.cases < cases; ++tally.cases) {
    const bool tied = twin.ties_only || random() % 2 == 0;
    const std::size_t frames = pick(twin.ties_only ? 3 : 1, tied ? 5 : 7);
    const std::size_t tokens = pick(twin.ties_only ? 5 : 1, tied ? 5 : 4);
    constexpr std::array sharpness{0.0, 0.3, 1.0, 2.0, 4.0, 8.0};
    const EmissionMatrix m = tied ? tied_emissions(random, frames, tokens)
                                  : random_emissions(random, frames, tokens, sharpness[random() % sharpness.size()],
                                                     pick(0, 2) == 0 ? 0.3 : 0.0);
    const Emissions e = m.view(random() % tokens);
    const reference::Labellings truth = reference::all_labellings(e);

    std::vector<Scaled> bounds(frames + 1), loose(frames + 1);
    const double total = mass_bounds(e, loose);
    const SuffixOptions options{pick(1, 8), pick(1, 5), pick(0, 3), std::array{0.0, 1e-3, 0.05, 0.3}[random() % 4]};
    suffix_bounds(e, options, bounds, std::pmr::new_delete_resource());
    if (random() % 4 == 0) bounds = loose;
    if (twin.check_suffix && tally.cases % 16 == 0) {
      for (std::size_t t = 0; t < frames; ++t)
        for (std::size_t last = 0; last < tokens; ++last) {
          const auto rest = reference::all_labellings(e, t, last == e.blank ? SIZE_MAX : last);
          const auto most = static_cast<double>(reference::most_probable(rest)->second);
          tally.suffix_violations += bounds[t].times_power(0) < most * (1.0 - slack) ? 1 : 0;
        }
    }
    if (twin.max_products)
      for (std::size_t t = frames; t-- > 0;) {
        double most = 0.0;
        for (const float x : e.row(t)) most = std::max(most, std::exp(static_cast<double>(x)));
        bounds[t] = Scaled::up(most * bounds[t + 1].times_power(0));
      }
    if (twin.forget_drops) std::fill(bounds.begin(), bounds.end(), Scaled{});

    SearchLimits limits{pick(1, 5), frames + 2 + pick(0, 1) * pick(0, 40),
                        std::array{0.0, 0.01, 0.1, 0.3}[random() % 4]};
    if (twin.ties_only) limits = {pick(2, 3), frames + 42, 0.0};
    BasicCtcSearch<Policy> search(std::pmr::new_delete_resource(), tokens, limits);
    FrameTokens frame(std::pmr::new_delete_resource(), tokens);
    const double floor = twin.ties_only ? 0.0 : std::array{0.0, 0.0, 0.01, 0.2}[random() % 4];
    search.start(no_index, bounds[0].exponent, floor);
    const double threshold = twin.ties_only ? 0.0 : std::array{0.0, 0.01, 0.1, 0.3}[random() % 4];
    for (std::size_t t = 0; t < frames; ++t) {
      frame.prepare(e.row(t), e.blank, threshold);
      search.step(frame, bounds[t + 1]);
    }
    for (const auto& [labels, q] : truth)
      tally.charge_violations +=
          charged_log_probability(search, labels) < static_cast<double>(std::log(q)) - slack ? 1 : 0;
    if (search.live().empty()) continue;  // nothing found, nothing claimed

    const std::uint32_t node = search.live().front().node;
    reference::Labels answer;
    for (std::uint32_t n = node; search.trie().parent(n) != no_index; n = search.trie().parent(n))
      answer.push_back(search.trie().label(n));
    std::reverse(answer.begin(), answer.end());
    std::vector<double> scratch(score_scratch(frames));
    const LogInterval p = ctc_log_probability(e, answer, scratch);
    const auto true_p = static_cast<double>(std::log(truth.at(answer)));
    tally.score_violations += p.lower > true_p + slack || p.upper < true_p - slack ? 1 : 0;
    long double others = 0.0L;
    for (const auto& [labels, q] : truth)
      if (labels != answer) others = std::max(others, q);
    const auto true_others = static_cast<double>(std::log(others));
    const Certificate c = certify(search, total, bounds[0], node, p.lower);
    tally.chain_violations += c.chains < true_others - slack ? 1 : 0;
    tally.whole_violations += c.whole < true_others - slack ? 1 : 0;
    tally.mass_violations += c.mass < true_others - slack ? 1 : 0;
    if (gap_above(c.best(), p.lower) == 0.0) {
      ++tally.certified;
      tally.wrong += true_p < true_others - slack ? 1 : 0;
    }
  }
  return tally;
}

}  // namespace mpp::test

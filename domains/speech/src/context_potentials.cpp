#include "context_potentials.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include <mpp/speech/rounding.hpp>

namespace mpp::speech {
namespace {

constexpr double minus_infinity = -std::numeric_limits<double>::infinity();
constexpr float least = -1e9F;  // a potential may be too high: this one is for contexts after which nothing can come
constexpr double share_of_rarer = 0.6;
constexpr int rounds = 3;  // potentials of long contexts depend on each other; any potential is sound

}  // namespace

ContextPotentials::ContextPotentials(const NgramModel& model, double weight, const std::vector<bool>& used)
    : model_(model), tables_(model.tables()), weight_(weight), used_(used), potential_(tables_.states(), 0.0F),
      last_(tables_.states(), 0), upper_(tables_.words()) {
  for (std::uint32_t w = 0; w < tables_.words(); ++w) last_[tables_.unigram_next(w)] = w;
  for (std::uint32_t arc = 0; arc < tables_.arc_word.size(); ++arc)
    last_[tables_.arc_next[arc]] = tables_.arc_word[arc];
  for (int round = 0; round < rounds; ++round) raise_potentials();
  raise_words();
  find_slack();
}

double ContextPotentials::reached(std::uint32_t word, std::uint32_t next) const {
  return WordId{word} == model_.end_word() ? 0.0 : static_cast<double>(potential_[next]);
}

// Any potential is sound that is at least the backoff and the potential of the shorter context, which comes first: all
// that unlisted words need. How much of what a listed word gains by its context should count for the context is a matter
// of tightness only. All of it would make a context worth as much as if its best word always followed; nothing would
// make that word so everywhere. The cost of the two is shared between them, more to the rarer one.
void ContextPotentials::raise_potentials() {
  for (std::uint32_t s = 1; s < tables_.states(); ++s) {
    double most =
        weight_ * static_cast<double>(tables_.backoff[s]) + static_cast<double>(potential_[tables_.shorter[s]]);
    for (std::uint32_t arc = tables_.first_arc[s]; arc < tables_.first_arc[s + 1]; ++arc) {
      const std::uint32_t word = tables_.arc_word[arc];
      const double alone =
          weight_ * static_cast<double>(tables_.unigram[word]) + reached(word, tables_.unigram_next(word));
      const double together =
          weight_ * static_cast<double>(tables_.arc_log_prob[arc]) + reached(word, tables_.arc_next[arc]);
      if (!used_[word] || alone == minus_infinity || together == minus_infinity) continue;
      const double context = weight_ * static_cast<double>(tables_.unigram[last_[s]]);
      const double share = tables_.unigram[word] > tables_.unigram[last_[s]] ? share_of_rarer : 0.5 * share_of_rarer;
      most = std::max(most, std::min(together - alone, share * (together - context)));
    }
    potential_[s] = std::max(least, float_above(most));
  }
}

void ContextPotentials::raise_words() {
  for (std::uint32_t w = 0; w < tables_.words(); ++w)
    upper_[w] = weight_ * static_cast<double>(tables_.unigram[w]) + reached(w, tables_.unigram_next(w));
  for (std::uint32_t s = 1; s < tables_.states(); ++s)
    for (std::uint32_t arc = tables_.first_arc[s]; arc < tables_.first_arc[s + 1]; ++arc) {
      double& upper = upper_[tables_.arc_word[arc]];
      upper = std::max(upper, weight_ * static_cast<double>(tables_.arc_log_prob[arc]) +
                                  reached(tables_.arc_word[arc], tables_.arc_next[arc]) -
                                  static_cast<double>(potential_[s]));
    }
}

// Between a score as it is rounded and the bound there are fewer than 32 roundings, of sums of these sizes at most.
void ContextPotentials::find_slack() {
  double chain = 0.0, probability = 0.0, potential = 0.0;
  std::vector<double> backoffs(tables_.states(), 0.0);
  const auto size = [](float x) { return std::isfinite(x) ? std::abs(static_cast<double>(x)) : 0.0; };
  for (std::uint32_t s = 1; s < tables_.states(); ++s) {
    backoffs[s] = backoffs[tables_.shorter[s]] + size(tables_.backoff[s]);
    chain = std::max(chain, backoffs[s]);
    potential = std::max(potential, size(potential_[s]));
  }
  for (const float x : tables_.unigram) probability = std::max(probability, size(x));
  for (const float x : tables_.arc_log_prob) probability = std::max(probability, size(x));
  slack_ = 0x1p-47 * (weight_ * (chain + probability) + 2.0 * potential);
}

double ContextPotentials::upper(WordId word, double extra) const {
  return upper_[static_cast<std::uint32_t>(word)] + extra + slack_ + 0x1p-47 * std::abs(extra);
}

}  // namespace mpp::speech

#pragma once
#include <span>
#include <utility>
#include <vector>

#include <mpp/core/memory/footprint.hpp>
#include <mpp/speech/language_model.hpp>

namespace mpp::speech {

/// For every word an upper bound of score(context, word).log_prob over a set of contexts: the admissible look-ahead of a
/// search that does not know its context yet.
///
///     upper(w) = max over the listed n-grams "c w" of p(c w) + reach(c)
///     reach(c) = largest sum of backoffs on the way from a context of the set down to its suffix c; 0 for c itself
///
/// So an n-gram of the highest order counts as it is, and a shorter one may gain what positive backoffs can add to it,
/// max(0, ...) over all contexts. It is attained unless a context on that way lists the word itself; over all contexts
/// of a model without positive backoffs it always is.
///
/// upper() is never below what score() returns for a context of the set, as computed, and is rounded up to float.
/// Only words that beat their unigram are stored: 8 bytes each. The model must outlive the bounds.
class WordBounds {
 public:
  /// Over all states of the model. O(states + arcs log arcs).
  explicit WordBounds(const NgramModel& model);

  /// Over the given contexts only, and not looser: the refinement for the contexts that are still feasible.
  /// Time and memory grow with the arcs of these states and their suffixes, not with the model.
  /// @param contexts  at least one, states of the model; repeated ones count once
  /// @throws ValueError if there is none
  WordBounds(const NgramModel& model, std::span<const NgramModel::State> contexts);

  explicit WordBounds(NgramModel&&) = delete;  // the bounds refer to the model
  WordBounds(NgramModel&&, std::span<const NgramModel::State>) = delete;

  /// @param word  of the model
  [[nodiscard]] float upper(WordId word) const noexcept;

  /// Host memory, without the model.
  Footprint resident() const noexcept;

 private:
  struct Reach {
    std::uint32_t state;
    double sum;
  };
  void raise(std::span<const Reach> reaches);

  const NgramTables* tables_;
  double root_reach_;                                    // what backoffs can add to a unigram
  std::vector<std::pair<std::uint32_t, float>> raised_;  // by word: above unigram + root_reach_
};

}  // namespace mpp::speech

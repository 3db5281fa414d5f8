#pragma once
#include <cstdint>
#include <vector>

#include <mpp/speech/language_model.hpp>

namespace mpp::speech {

/// What the contexts of a model are worth, and its words whatever the context; docs/speech_viterbi.md proves that
///
///     weight * log P(w | s) + extra + potential(next)  <=  potential(s) + upper(w, extra)
///
/// for all states s and words w in use, also for the left side as WordGraph rounds it. </s> leads to potential 0.
class ContextPotentials {
 public:
  /// @param used  [words of the model]; the others may be above their bound
  ContextPotentials(const NgramModel& model, double weight, const std::vector<bool>& used);

  double upper(WordId word, double extra) const;
  const std::vector<float>& potential() const { return potential_; }

 private:
  double reached(std::uint32_t word, std::uint32_t next) const;  // the potential after a word
  void raise_potentials();
  void raise_words();
  void find_slack();

  const NgramModel& model_;
  const NgramTables& tables_;
  double weight_;
  const std::vector<bool>& used_;
  std::vector<float> potential_;     // [states]
  std::vector<std::uint32_t> last_;  // [states] last word of the context
  std::vector<double> upper_;        // [words]
  double slack_ = 0.0;               // covers the rounding of all sums, here and in WordGraph
};

}  // namespace mpp::speech

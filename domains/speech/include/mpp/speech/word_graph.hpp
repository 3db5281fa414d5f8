#pragma once
#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include <mpp/core/memory/footprint.hpp>
#include <mpp/speech/language_model.hpp>
#include <mpp/speech/lexicon.hpp>

namespace mpp::speech {

/// A word that is worth more (or, with a negative weight, less) than the model says: nats for each time it is spoken.
struct Hotword {
  std::string word;
  double weight = 0.0;
};

/// What a labelling is worth beside its emissions. All in nats.
struct WordWeights {
  double lm_weight = 1.0;   ///< factor of ln P(word | context); 0 ignores the model, else in [1e-6, 1e6]
  double word_bonus = 0.0;  ///< for every word, unknown ones included
  /// For a word that the lexicon lacks, beside lm_weight * ln P(<unk>) and the bonus; -infinity allows none.
  double unknown_score = -std::numeric_limits<double>::infinity();
  std::optional<Token> silence{};  ///< may also be emitted between words, any number of times
  double silence_score = 0.0;      ///< for every frame that emits it, inside words too
};

/// What a search in max semantics walks: a lexicon, perhaps a model, and weights. A labelling w_1 .. w_n on a path scores
///
///     sum over frames of e_t(token)  +  sum over words of word(context, w_i)  +  end(context)
///
/// The path collapses (repetitions merge, blanks vanish) to the spellings of the words, silence between them left out.
/// An unknown word spells the way to a node other than the root where no word ends.
///
/// **Where a word ends does not matter to its score, so it ends at the frame that enters its last node;** that frame the
/// path is at the root again, "after" the word's last token, which may go on repeating there. A path inside the trie
/// therefore still has a child to enter. Positions: 0 .. nodes - 1 are the nodes, 0 the root when nothing bars the next
/// token (at the start and after a blank), nodes + k the root after token k without a blank.
///
/// What word(), unknown() and end() return *is* the weight: sums and bounds compare with these doubles.
/// Immutable; any number of threads may read one. Refers to the lexicon and the model, which must outlive it.
class WordGraph {
 public:
  using State = NgramModel::State;
  using Position = std::uint32_t;
  struct Step {
    double score;  ///< nats; -infinity for what cannot follow
    State next;
  };

  /// @param model     nullptr for none. A word of the lexicon that it does not list is scored as its <unk>
  /// @param hotwords  words of the lexicon; of one listed twice the weights add up. O(1) per step of a search
  /// @throws ValueError naming the weight that is NaN, infinite (unknown_score: +infinity) or beyond 1e6 in absolute
  ///         value, or the hotword that the lexicon lacks
  explicit WordGraph(const Lexicon& lexicon, const NgramModel* model = nullptr, const WordWeights& weights = {},
                     std::span<const Hotword> hotwords = {});
  explicit WordGraph(Lexicon&&, const NgramModel* = nullptr, const WordWeights& = {},
                     std::span<const Hotword> = {}) = delete;  // the graph refers to the lexicon

  const Lexicon& lexicon() const noexcept { return *lexicon_; }
  const NgramModel* model() const noexcept { return model_; }  ///< nullptr too when lm_weight is 0
  const WordWeights& weights() const noexcept { return weights_; }
  bool allows_unknown() const noexcept { return unknown_extra_ > -std::numeric_limits<double>::infinity(); }
  /// Whether a spelling contains the token; any token may be asked for.
  bool spells(Token token) const noexcept { return token < spelled_.size() && spelled_[token] != 0; }
  bool is_silence(Token token) const noexcept { return weights_.silence == token; }

  State begin() const noexcept { return model_ != nullptr ? model_->begin() : State{}; }
  Step word(State state, Lexicon::Word word) const noexcept {
    return step(state, word_id_[word], extra_[word]);  // lm_weight * ln P + word_bonus + hotword
  }
  Step unknown(State state) const noexcept { return step(state, unknown_id_, unknown_extra_); }
  double end(State state) const noexcept { return model_ != nullptr ? weights_.lm_weight * model_->end(state) : 0.0; }
  /// Emission of a token in a frame of the acoustic model: the silence score added where it belongs.
  double emission(std::span<const float> row, Token token) const noexcept {
    const double e = static_cast<double>(row[token]);
    return is_silence(token) ? e + weights_.silence_score : e;
  }

  /// Upper bounds for a search that does not know its context yet, rounded up. What a context is worth to the word after
  /// it, at most, counts for the word that leads into it; so a word is not worth more everywhere because it is after one
  /// other word. For every state s and what follows it:
  ///
  ///     word(s, w).score + potential(word(s, w).next)  <=  potential(s) + word_upper()[w],     so does unknown()
  ///     end(s)                                         <=  potential(s) + end_upper()
  ///
  /// A path from state s on adds at most potential(s), the upper bounds of its words, and end_upper(). Proof:
  /// docs/speech_viterbi.md
  std::span<const float> word_upper() const noexcept { return word_upper_; }  ///< [words]
  float unknown_upper() const noexcept { return unknown_upper_; }             ///< -infinity when none is allowed
  float end_upper() const noexcept { return end_upper_; }
  float potential(State state) const noexcept {  ///< finite; 0 without a model and for the empty context
    return model_ != nullptr ? potential_[static_cast<std::uint32_t>(state)] : 0.0F;
  }

  /// [nodes] the largest word_upper at or below a node, unknown_upper included where an unknown word may end there.
  std::span<const float> smear() const noexcept { return smear_; }

  /// Host memory, without the lexicon and the model.
  Footprint resident() const noexcept;

 private:
  Step step(State state, WordId word, double extra) const noexcept {
    if (model_ == nullptr) return {extra, state};
    const NgramModel::Scored scored = model_->score(state, word);
    return {weights_.lm_weight * scored.log_prob + extra, scored.next};
  }
  void bound();
  void smear_unknown();

  const Lexicon* lexicon_;
  const NgramModel* model_;
  WordWeights weights_;
  std::vector<WordId> word_id_;  // [words] of the model; empty words of none: WordId{}
  std::vector<double> extra_;    // [words] word_bonus + hotword
  WordId unknown_id_{};
  double unknown_extra_;               // word_bonus + unknown_score
  std::vector<std::uint8_t> spelled_;  // [tokens of the lexicon]
  std::vector<float> word_upper_, smear_;
  std::vector<float> potential_;  // [states of the model]
  float unknown_upper_, end_upper_;
};

}  // namespace mpp::speech

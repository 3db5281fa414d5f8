#pragma once
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <istream>
#include <limits>
#include <string_view>
#include <utility>
#include <vector>

#include <mpp/core/memory/footprint.hpp>
#include <mpp/speech/ngram_tables.hpp>
#include <mpp/speech/vocabulary.hpp>

namespace mpp::speech {

/// A word of a language model. Not the word number of a Lexicon: NgramModel::id() translates by text.
enum class WordId : std::uint32_t {};

struct ArpaOptions {
  /// Natural logarithm of the probability of <unk> where the file has none; at most 0.
  double missing_unknown_log_prob = -std::numeric_limits<double>::infinity();
};

/// An n-gram language model with backoff, immutable and shared between threads.
///
///     log P(w | h) = p(h w) if the model lists "h w", else backoff(h) + log P(w | h without its first word)
///
/// where backoff(h) = 0 if the model does not list h. Histories are interned as *minimal* contexts: a State is the
/// longest suffix of the history that has a backoff other than 0 or begins a listed n-gram (KenLM's minimal state, made
/// closed under prefixes). Equal states score every continuation equally, so hypotheses may be merged on them.
///
/// The file's log10 become natural logarithms in float; sums are in double. With S the sum of |p| and |backoff| over the
/// terms of the formula, score() is within order * (6e-8 * S + 2^-149) of it. What score() returns *is* the model from
/// then on: bounds and searches compare with score(), not with the file. Proofs: docs/speech_lm.md.
class NgramModel {
 public:
  enum class State : std::uint32_t {};
  struct Scored {
    double log_prob;  ///< natural logarithm; -infinity for what cannot follow
    State next;
  };
  static constexpr std::size_t max_order = 6;

  /// Reads a model in ARPA format: orders 1 to 6, with <s> and </s>; <UNK> stands for <unk> where only that is there.
  /// Spaces and tabs separate; text before \data\ and after \end\ is ignored; the stream may be read beyond \end\.
  /// An n-gram whose first words are not listed as an n-gram themselves is taken as the formula says.
  /// @throws FormatError naming the line: a section that is missing or disagrees with its count, an n-gram listed twice,
  ///         with a word that is no unigram, a probability that is NaN or above 1, a backoff that is NaN or infinite
  ///         upwards or other than 0 in the highest order, a line above 64 KiB, the end of the file before \end\.
  ///         What is allocated is proportional to what has been read, whatever the file announces
  /// @throws ValueError if options.missing_unknown_log_prob is NaN or above 0
  [[nodiscard]] static NgramModel read_arpa(std::istream& in, const ArpaOptions& options = {});
  [[nodiscard]] static NgramModel read_arpa(const std::filesystem::path& path, const ArpaOptions& options = {});

  State begin() const noexcept { return begin_; }    ///< after <s>
  State empty() const noexcept { return State{0}; }  ///< nothing is known about what came before
  Scored score(State state,
               WordId word) const noexcept;  ///< the word after the context; state and word are of this model
  double end(State state) const noexcept { return score(state, end_word_).log_prob; }  ///< </s> after the context

  WordId id(std::string_view word) const noexcept;  ///< unknown_word() for a word that the model does not know
  std::string_view text(WordId word) const noexcept { return vocabulary_[static_cast<std::uint32_t>(word)]; }
  WordId begin_word() const noexcept { return begin_word_; }
  WordId end_word() const noexcept { return end_word_; }
  WordId unknown_word() const noexcept { return unknown_word_; }

  std::size_t order() const noexcept { return counts_.size(); }
  /// n-grams listed in the file, n in [1, order()].
  std::size_t ngrams(std::size_t n) const noexcept { return counts_[n - 1]; }
  std::size_t words() const noexcept { return tables_.words(); }  ///< unigrams, <unk> included
  std::size_t states() const noexcept { return tables_.states(); }
  const NgramTables& tables() const noexcept { return tables_; }

  /// Host memory of the whole model.
  Footprint resident() const noexcept;

 private:
  NgramModel() = default;
  friend struct NgramModelBuilder;

  NgramTables tables_;
  Vocabulary vocabulary_;
  std::vector<std::size_t> counts_;
  WordId begin_word_{}, end_word_{}, unknown_word_{};
  State begin_{};
};

inline NgramModel::Scored NgramModel::score(State state, WordId word) const noexcept {
  const auto w = static_cast<std::uint32_t>(word);
  double sum =
      0.0;  // longest context first: WordBounds adds in the same order, which makes it a bound of this very sum
  for (auto s = static_cast<std::uint32_t>(state); s != 0; s = tables_.shorter[s]) {
    const std::uint32_t arc = tables_.arc(s, w);
    if (arc != NgramTables::none) return {sum + tables_.arc_log_prob[arc], State{tables_.arc_next[arc]}};
    sum += tables_.backoff[s];
  }
  return {sum + tables_.unigram[w], State{tables_.unigram_next(w)}};
}

}  // namespace mpp::speech

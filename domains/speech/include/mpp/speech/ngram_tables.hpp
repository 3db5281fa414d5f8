#pragma once
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <vector>

#include <mpp/core/memory/bytes.hpp>
#include <mpp/speech/bit_rank.hpp>

namespace mpp::speech {

/// An n-gram model as flat arrays: an automaton with a state per context that can matter.
///
/// State 0 is the empty context. States are sorted by the length of their context, so shorter[s] < s. The arcs of a
/// state are the n-grams "context word", sorted by word; those of state 0 are the unigrams, one per word.
/// All probabilities and backoffs are natural logarithms.
struct NgramTables {
  static constexpr std::uint32_t none = 0xFFFF'FFFF;

  std::vector<float> unigram;            ///< [words]      log P(word); -infinity allowed
  BitRank unigram_states;                ///< words whose one-word context is a state: state 1 + rank
  std::vector<float> backoff;            ///< [states]     0 for state 0
  std::vector<std::uint32_t> shorter;    ///< [states]     longest proper suffix that is a state; 0 for state 0
  std::vector<std::uint32_t> first_arc;  ///< [states + 1] into the arcs; state 0 has none there
  std::vector<std::uint32_t> arc_word;   ///< [arcs]
  std::vector<float> arc_log_prob;       ///< [arcs]       log P(word | context)
  std::vector<std::uint32_t> arc_next;   ///< [arcs]       longest suffix of "context word" that is a state

  std::size_t words() const noexcept { return unigram.size(); }
  std::size_t states() const noexcept { return backoff.size(); }

  /// The arc of state > 0 for a word, or `none`.
  std::uint32_t arc(std::uint32_t state, std::uint32_t word) const noexcept {
    const auto begin = arc_word.begin() + first_arc[state], end = arc_word.begin() + first_arc[state + 1];
    const auto at = std::lower_bound(begin, end, word);
    return at != end && *at == word ? static_cast<std::uint32_t>(at - arc_word.begin()) : none;
  }
  /// The state after a word in the empty context.
  std::uint32_t unigram_next(std::uint32_t word) const noexcept {
    return unigram_states.contains(word) ? 1 + unigram_states.rank(word) : 0;
  }

  Bytes resident() const noexcept;
};

}  // namespace mpp::speech

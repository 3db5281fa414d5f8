#pragma once
#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <string_view>
#include <vector>

#include <mpp/speech/emissions.hpp>
#include <mpp/speech/look_ahead.hpp>
#include <mpp/speech/word_alignment.hpp>
#include <mpp/speech/word_graph.hpp>

namespace mpp::speech {

/// The best labelling of an utterance with words of a lexicon: max over paths and words of WordGraph's score.
struct ViterbiRequest {
  Emissions emissions;       ///< need not be normalised; a view that outlives the session
  const FoldedGraph* graph;  ///< outlives the session
  std::size_t n_best = 1;    ///< >= 1; the promise is about the first
};

/// Words, and an interval that the score of their path lies in. No words and -infinity when there is no labelling.
struct WordTranscript {
  static constexpr Lexicon::Word unknown = std::numeric_limits<Lexicon::Word>::max();

  std::vector<Lexicon::Word> words;   ///< of the lexicon, or `unknown`
  std::vector<std::uint32_t> tokens;  ///< their spellings one after the other, unknown words included
  double score_lower{}, score_upper{};
  friend bool operator==(const WordTranscript&, const WordTranscript&) = default;
};

/// Frames that first emit the first and the last token of a word.
struct WordFrames {
  std::uint32_t first, last;
  friend bool operator==(const WordFrames&, const WordFrames&) = default;
};

struct ViterbiResult {
  /// At most n_best, best first, at least one; no two of the same words, where an unknown word is its tokens.
  std::vector<WordTranscript> best;
  std::vector<std::uint32_t> frames;  ///< for each token of the first: the frame that first emits it
  std::vector<WordFrames> spans;      ///< for each word of the first
  double gap{};                       ///< nats: no labelling scores more than the first plus gap
  double live_mean{};                 ///< live hypotheses per frame of the last search
  std::size_t live_max{};             ///< most of them after a frame
  std::size_t frames_resumed{};       ///< frames that the last search took over from the one before
};

struct ViterbiOptions {
  /// Ladder below the exact level, increasing.
  std::vector<std::size_t> live_caps{2, 16, 128, 1024, 8192};
  /// Live hypotheses that the exact level has room for; it throws SearchTooLong where it needs more.
  std::size_t exact_cap = std::size_t{1} << 20;
  std::size_t words_per_hypothesis = 2;  ///< of the history, beside frames + 2; the exact level has one at least
  /// Nats below the best of a frame at which a hypothesis is dropped, and counted; not at the exact level.
  double beam_threshold = std::numeric_limits<double>::infinity();
  LookAheadOptions look_ahead{};
};

/// @throws ValueError naming the option: caps that are none, 0, not increasing or above 2^26, exact_cap not above them,
///         words_per_hypothesis above 1024, a beam_threshold that is NaN or not positive
void check(const ViterbiOptions& options);

/// @throws ShapeError, ValueError for emissions without frames or tokens, no graph, n_best = 0: all that sizes depend on
void check_sizes(const ViterbiRequest& request);

/// @param operation  with which messages begin
/// @throws ValueError if a spelling uses the blank or a token that the emissions lack, or silence is either; ShapeError if
///         nodes and tokens are 2^31 or more
void check_graph(std::string_view operation, const WordGraph& graph, std::size_t tokens, std::size_t blank);

/// All but the values of the emissions, which the look-ahead checks: it reads them anyway.
/// @throws ShapeError, ValueError as check_sizes() and check_graph()
void check(const ViterbiRequest& request);

/// Words and tokens of labels as WordAlignment has them.
[[nodiscard]] WordTranscript transcribe(const WordGraph& graph, std::span<const std::uint32_t> labels,
                                        LogInterval score);
/// Fills in `frames` and `spans`.
void time_words(const WordAlignment& path, ViterbiResult& result);

}  // namespace mpp::speech

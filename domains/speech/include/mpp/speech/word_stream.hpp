#pragma once
#include <cstddef>
#include <cstdint>
#include <vector>

#include <mpp/speech/folded_graph.hpp>
#include <mpp/speech/lexicon.hpp>

namespace mpp::speech {

/// A word of the answer. Frames are counted from the start of the stream and increase from word to word.
struct StreamWord {
  std::uint64_t frame;  ///< that enters the last token of the word, on the path whose score the answer has
  Lexicon::Word word;   ///< of the lexicon, or WordTranscript::unknown
  Lexicon::Node node;   ///< where its spelling ends: which one it is, and what an unknown word consists of
  friend bool operator==(const StreamWord&, const StreamWord&) = default;
};

/// A part of the stream that is decided, between two closings: frames after which the answer is between words, after a
/// blank. The start of the stream is a closing too.
struct WordSegment {
  std::uint64_t first_frame, end_frame;  ///< [first, end)
  std::uint64_t words;                   ///< of the answer in this segment
  double gap;   ///< nats, rounded up; 0: no better path leads from the one closing to the other (see the decoder)
  bool closed;  ///< false: it ends with the stream
  friend bool operator==(const WordSegment&, const WordSegment&) = default;
};

/// What has become final, each thing once: feed() and finish() append. The caller's memory.
struct WordStreamOutput {
  std::vector<StreamWord> words;
  std::vector<WordSegment> segments;
};

struct WordStreamResult {
  std::uint64_t frames, words, segments;
  std::uint64_t forced;  ///< commitments that some live hypothesis contradicted, closings not counted
  double score_lower,
      score_upper;    ///< of the path that was found, nats, at most that of its words; -infinity without one
  double gap;         ///< nats: no labelling of all frames scores more than score_lower plus that; 0: than score_upper
  double closed_gap;  ///< the same for labellings that are at each closing in the place and context of the answer
  friend bool operator==(const WordStreamResult&, const WordStreamResult&) = default;
};

struct ViterbiStreamOptions {
  const FoldedGraph* graph = nullptr;  ///< what is decoded; outlives the stream
  std::size_t live_cap = 256;          ///< hypotheses kept after each frame
  double beam_threshold = 200.0;    ///< nats below the best of a frame at which one is dropped, and counted; positive
  std::size_t shortest_block = 50;  ///< frames, >= 1: so many are awaited, looked through, and searched together ...
  std::size_t longest_block = 150;  ///< ... or more up to this, < 2^20, until one is surely a blank between words
  double sure_blank = 5.0;          ///< nats by which the blank of a frame leads then; >= 0
  double closing_lead = 5.0;        ///< nats that the best is ahead of all others where a segment is closed; >= 0
  std::size_t longest_uncommitted = 32;  ///< words, >= 1; when more wait, the oldest ones of the best are committed
  std::size_t history_capacity = 2048;   ///< words of all hypotheses, >= longest_uncommitted + longest_block + 2
};

/// @throws ValueError, ShapeError naming the option that is not as above
void check(const ViterbiStreamOptions& options);

}  // namespace mpp::speech

#pragma once
#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <memory_resource>
#include <span>
#include <utility>
#include <vector>

#include <mpp/core/memory/bytes.hpp>
#include <mpp/core/memory/uninitialized.hpp>
#include <mpp/speech/directed.hpp>
#include <mpp/speech/dropped_paths.hpp>
#include <mpp/speech/look_ahead.hpp>
#include <mpp/speech/stream.hpp>
#include <mpp/speech/stream_beam.hpp>
#include <mpp/speech/viterbi_request.hpp>
#include <mpp/speech/word_stream.hpp>

namespace mpp::speech {

/// Words of a lexicon in max semantics, with a model, over a stream of any length, in the memory that it has taken at the
/// start. Emissions need not be normalised.
///
/// Frames are awaited in blocks; a LookAhead with an open end is built for each, and the block is searched. So an answer
/// is late by a block, and partial() knows the frames of the blocks before. **Committed** is what all live hypotheses
/// begin with: it is handed out and forgotten. When more words wait than allowed, the oldest ones of the best hypothesis
/// are committed against the others. **A segment is closed** after a block when the best hypothesis is between words,
/// after a blank, far ahead: it alone goes on, with its context.
///
/// Guarantees, all deterministic and with rounding; docs/speech_stream.md proves them:
/// WordStreamResult::gap  no words for all frames score more than the answer plus that. What is dropped is charged with all
///                        that it could have got, so the gap grows with the stream once something was dropped: it is
///                        small for a sentence or two, and honest for an hour.
/// WordSegment::gap       of the paths that are at the two closings where the answer is (between words, after a blank, in
///                        the same context of the model), none scores more between them than that of the answer plus
///                        this. Of the labellings that are at all closings where the answer is, none scores more than
///                        it plus the sum (closed_gap). It says nothing of labellings that pass a closing elsewhere.
/// When the search has found no path through all frames, the score is -infinity; words handed out before stay what they
/// are, and the gap is infinite unless no other words have a path either.
///
///   ViterbiStream stream(&resource, tokens, blank, {.graph = &folded});
template <class LookAhead = speech::LookAhead, class Policy = WordStreamAccounting>
class BasicViterbiStreamDecoder {
 public:
  using Options = ViterbiStreamOptions;
  using Item = StreamWord;
  using Output = WordStreamOutput;
  using Result = WordStreamResult;

  BasicViterbiStreamDecoder(std::pmr::memory_resource* memory, std::size_t tokens, std::size_t blank,
                            const Options& options)
      : options_(checked(options, tokens, blank)), tokens_(tokens), blank_(blank),
        beam_(memory, tokens, blank, options), block_(options.longest_block * tokens, memory),
        scratch_(scratch_units(options), memory) {}

  static Bytes bytes(std::size_t tokens, const Options& options) {
    speech::check(options);
    return StreamBeam<LookAhead, Policy>::bytes(tokens, options) + bytes_of<float>(options.longest_block * tokens) +
           bytes_of<std::max_align_t>(scratch_units(options));
  }
  static void check(const Emissions& chunk, std::uint64_t first_frame) { check_emissions(chunk, first_frame); }

  std::uint64_t frames() const { return searched_ + waiting_; }

  void reserve(Output& output, std::size_t frames) const {
    // A word takes a frame, a segment a block.
    reserve_more(output.words, options_.longest_uncommitted + waiting_ + frames);
    reserve_more(output.segments, (waiting_ + frames) / options_.shortest_block + 1);
  }

  void step(std::span<const float> row, Output& output) {
    std::copy(row.begin(), row.end(), block_.begin() + static_cast<std::ptrdiff_t>(waiting_ * tokens_));
    ++waiting_;
    const bool pause = pauses(row) && waiting_ >= options_.shortest_block;
    if (!pause && waiting_ < options_.longest_block) return;
    search(true);
    if (beam_.live().empty()) return;
    const PathHypothesis best = beam_.best();
    if (closes(best))
      close(best, output);
    else
      commit(output);
    rebase();
  }

  void uncommitted(std::vector<StreamWord>& words) const {
    if (!beam_.live().empty()) read(beam_.best().history(), words);
  }

  Result finish(Output& output) {
    search(false);
    const auto [answer, score] = best_ending();
    const double end_rounding = answer == nullptr ? 0.0 : 0x1p-51 * std::abs(score);
    const auto lower = [end = score, end_rounding](double rounding) {
      return sum_down(end, -(rounding + end_rounding));
    };
    if (answer != nullptr)
      hand_out(answer->history(), output);
    else if (!beam_.live().empty())
      hand_out(beam_.best().history(), output);
    if (frames() > segment_begin_)
      add_segment(segment_dropped_.gap(0.0, lower(segment_rounding_), score), false, output);
    const LogInterval whole{sum_down(offset_.lower, lower(rounding_)), sum_up(offset_.upper, score)};
    dropped_.rebase(-offset_.upper);
    // The parts of a score have rounding of their own; where a gap is not 0, it counts from the lower end of all.
    const double parts = closed_gap_ == 0.0 || answer == nullptr ? 0.0 : sum_up(whole.upper, -whole.lower);
    return {frames(),
            words_,
            segments_,
            forced_,
            whole.lower,
            whole.upper,
            dropped_.gap(0.0, whole.lower, whole.upper),
            sum_up(closed_gap_, parts)};
  }

 private:
  static constexpr double nothing = -std::numeric_limits<double>::infinity();
  static constexpr std::uint32_t no_word = WordHistory::no_label;

  static const Options& checked(const Options& options, std::size_t tokens, std::size_t blank) {
    speech::check(options);
    check_graph("ViterbiStream", options.graph->words(), tokens, blank);
    return options;
  }

  // The live hypothesis that ends best, if one can, and its score with </s>.
  std::pair<const PathHypothesis*, double> best_ending() const {
    const PathHypothesis* answer = nullptr;
    double score = nothing;
    for (const PathHypothesis& h : beam_.live()) {
      const double end = beam_.between_words(h) ? options_.graph->words().end(h.state()) : nothing;
      if (end == nothing) continue;
      const double sum = Policy::sum(h.score(), end);
      if (answer == nullptr || sum > score ||
          (sum == score && beam_.history().smaller(h.history(), no_word, answer->history(), no_word))) {
        answer = &h;
        score = sum;
      }
    }
    return {answer, score};
  }

  // For the look-ahead of a block: six arrays, which may each begin 8 bytes later.
  static std::size_t scratch_units(const Options& o) {
    const Bytes most =
        LookAhead::bytes(*o.graph, o.longest_block) + LookAhead::building_bytes(*o.graph, o.longest_block);
    return most.count / sizeof(std::max_align_t) + 5;
  }

  // Whether a frame is surely a blank after a token that may end a word: a good place for the end of a block.
  bool pauses(std::span<const float> row) {
    std::size_t best = blank_;
    double most = nothing;
    for (std::size_t k = 0; k < tokens_; ++k)
      if (k != blank_ && static_cast<double>(row[k]) > most) best = k, most = static_cast<double>(row[k]);
    const auto blank = static_cast<double>(row[blank_]);
    if (most > blank) word_may_end_ = options_.graph->column(beam_.after(best)) != FoldedGraph::no_column;
    return word_may_end_ && blank - most >= options_.sure_blank;
  }

  void charge(double value) {
    dropped_.add(value);
    segment_dropped_.add(value);
  }

  // The frames that wait. @param open_end  more will follow
  void search(bool open_end) {
    if (waiting_ > 0) {
      std::pmr::monotonic_buffer_resource scratch(scratch_.data(), scratch_.size() * sizeof(std::max_align_t),
                                                  std::pmr::null_memory_resource());
      const Emissions block{std::span(block_).first(waiting_ * tokens_), waiting_, tokens_, blank_};
      const LookAhead look_ahead(*options_.graph, block, &scratch, {.open_end = open_end});
      carry_on(look_ahead.most(0));
      for (std::size_t t = 0; t < waiting_; ++t) beam_.step(look_ahead, t + 1, block.row(t), searched_ + t);
      charge(beam_.take_dropped());
      searched_ += waiting_;
      waiting_ = 0;
    } else if (!open_end) {
      carry_on(static_cast<double>(options_.graph->words().end_upper()));
    }
    take_rounding();
  }

  void carry_on(double most) {
    dropped_.carry_on(most);
    segment_dropped_.carry_on(most);
  }

  void take_rounding() {
    const double more = beam_.take_rounding();
    rounding_ += more;
    segment_rounding_ += more;
  }

  // Scores stay small, so that they round finely after hours too.
  void rebase() {
    const double off = beam_.best().score();
    beam_.rebase(off);
    dropped_.rebase(off);
    segment_dropped_.rebase(off);
    offset_ = {sum_down(offset_.lower, off), sum_up(offset_.upper, off)};
    take_rounding();
  }

  bool closes(const PathHypothesis& best) const {
    if (!beam_.at_rest(best)) return false;
    const double least = beam_.value(best) - options_.closing_lead;
    return std::ranges::all_of(beam_.live(),
                               [&](const PathHypothesis& h) { return same_place(h, best) || beam_.value(h) <= least; });
  }
  static bool same_place(const PathHypothesis& a, const PathHypothesis& b) {
    return a.position() == b.position() && a.blank() == b.blank() && a.state() == b.state();
  }

  void close(const PathHypothesis& best, Output& output) {
    const auto context = static_cast<double>(options_.graph->words().potential(best.state()));
    const double gap = segment_dropped_.gap(context, sum_down(best.score(), -segment_rounding_), best.score());
    // Other paths do not reach the place of the answer: they count for the stream only.
    dropped_.add(Policy::told(beam_.drop_unless([&](const PathHypothesis& h) { return same_place(h, best); })));
    hand_out(best.history(), output);
    beam_.commit(best.history());
    add_segment(gap, true, output);
    segment_dropped_ = {};
    segment_rounding_ = 0.0;
  }

  void add_segment(double gap, bool closed, Output& output) {
    output.segments.push_back({segment_begin_, searched_, words_ - segment_word_, gap, closed});
    closed_gap_ = sum_up(closed_gap_, gap);
    segment_begin_ = searched_;
    segment_word_ = words_;
    ++segments_;
  }

  void commit(Output& output) {
    const TimedHistory& history = beam_.history();
    std::size_t longest = 0;
    for (const PathHypothesis& h : beam_.live()) longest = std::max(longest, history.depth(h.history()));
    if (longest > options_.longest_uncommitted) {
      const std::size_t excess = longest - options_.longest_uncommitted;
      std::uint32_t root = beam_.best().history();
      std::size_t depth = history.depth(root);
      for (; depth > excess; --depth) root = history.parent(root);
      const std::size_t most = depth + options_.longest_uncommitted;
      charge(Policy::told(beam_.drop_unless([&](const PathHypothesis& h) {
        return history.shared(h.history(), root) == root && history.depth(h.history()) <= most;
      })));
      ++forced_;
    }
    std::uint32_t root = beam_.live().front().history();
    for (const PathHypothesis& h : beam_.live()) root = history.shared(root, h.history());
    hand_out(root, output);
    beam_.commit(root);
  }

  // Appends the words up to `last`.
  void read(std::uint32_t last, std::vector<StreamWord>& words) const {
    const Lexicon& lexicon = options_.graph->words().lexicon();
    const TimedHistory& history = beam_.history();
    const auto first = static_cast<std::ptrdiff_t>(words.size());
    for (; last != WordHistory::beginning; last = history.parent(last)) {
      const std::uint32_t label = history.label(last);
      // The difference modulo 2^32 is right for words that have waited for fewer frames than that.
      const auto age = static_cast<std::uint32_t>(static_cast<std::uint32_t>(searched_) - history.frame(last));
      if (label < lexicon.endings())
        words.push_back({searched_ - age, lexicon.ending_word(label), lexicon.ending_node(label)});
      else
        words.push_back(
            {searched_ - age, WordTranscript::unknown, static_cast<Lexicon::Node>(label - lexicon.endings())});
    }
    std::reverse(words.begin() + first, words.end());
  }

  void hand_out(std::uint32_t last, Output& output) {
    words_ -= output.words.size();
    read(last, output.words);
    words_ += output.words.size();
  }

  Options options_;
  std::size_t tokens_, blank_;
  StreamBeam<LookAhead, Policy> beam_;
  Buffer<float> block_;                             ///< [longest_block, tokens] frames that wait
  Buffer<std::max_align_t> scratch_;                ///< of the look-ahead of a block
  std::size_t waiting_ = 0;                         ///< frames
  bool word_may_end_ = true;                        ///< after the last token that was ahead of the blank
  std::uint64_t searched_ = 0;                      ///< frames before those
  DroppedPaths<Policy> dropped_, segment_dropped_;  ///< since the start, and since the closing
  double rounding_ = 0.0, segment_rounding_ = 0.0;  ///< scores are above those of their paths by that at most
  LogInterval offset_{0.0, 0.0};                    ///< what has been taken off the scores
  std::uint64_t words_ = 0, segments_ = 0, forced_ = 0;
  std::uint64_t segment_begin_ = 0, segment_word_ = 0;  ///< frames and words before the open segment
  double closed_gap_ = 0.0;                             ///< sum over the segments
};

using ViterbiStreamDecoder = BasicViterbiStreamDecoder<>;
using ViterbiStream = Stream<ViterbiStreamDecoder>;

}  // namespace mpp::speech

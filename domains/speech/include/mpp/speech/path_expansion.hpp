#pragma once
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <memory_resource>
#include <span>

#include <mpp/core/memory/bytes.hpp>
#include <mpp/core/memory/uninitialized.hpp>
#include <mpp/speech/directed.hpp>
#include <mpp/speech/path_candidates.hpp>
#include <mpp/speech/path_hypothesis.hpp>
#include <mpp/speech/word_graph.hpp>

namespace mpp::speech {

/// Extends hypotheses by one frame: every token that may follow, every word that may end (docs/speech_viterbi.md).
/// The look-ahead is as BasicViterbiSearch has it. All memory is taken by the constructor; bytes() says how much.
template <class LookAhead, class Policy>
class PathExpansion {
 public:
  using State = WordGraph::State;
  using Position = WordGraph::Position;

  PathExpansion(std::pmr::memory_resource* memory, const WordGraph& graph, std::size_t tokens, std::size_t blank)
      : graph_(&graph), lexicon_(&graph.lexicon()), nodes_(static_cast<Position>(lexicon_->nodes())),
        blank_(static_cast<Token>(blank)), emission_(memory), through_root_(memory), through_(memory) {
    emission_.resize(tokens);
    through_root_.resize(tokens);
    through_.resize(tokens);
  }
  static Bytes bytes(std::size_t tokens) { return bytes_of<double>(3 * tokens); }
  void release() {
    emission_ = Buffer<double>(emission_.get_allocator());
    through_root_ = Buffer<double>(through_root_.get_allocator());
    through_ = Buffer<double>(through_.get_allocator());
  }

  /// @param row   [tokens] emissions of the frame
  /// @param next  number of the frame after it, for the look-ahead, which is read until the next call
  void start_frame(const LookAhead& look_ahead, std::size_t next, std::span<const float> row) {
    look_ahead_ = &look_ahead;
    next_ = next;
    for (Token k = 0; k < emission_.size(); ++k) {
      emission_[k] = graph_->emission(row, k);
      through_root_[k] = emission_[k] == nothing ? nothing : sum_up(emission_[k], remaining(nodes_ + k));
      const double inside = look_ahead.inside(next, k);
      through_[k] = inside == nothing ? through_root_[k] : std::max(through_root_[k], sum_up(emission_[k], inside));
    }
  }
  double emission(Token token) const { return emission_[token]; }

  /// Calls offer(PathCandidate). What cannot lead to `hopeless` may be left out.
  template <class Offer>
  void expand(const PathHypothesis& h, double hopeless, const Offer& offer) const {
    const Position position = h.position();
    const bool at_root = position == 0 || position >= nodes_;
    const Token last = position >= nodes_ ? position - nodes_ : lexicon_->token(position);
    const Token barred = h.blank() ? no_word : last;  // it would be a repetition
    emit(h, blank_, at_root ? 0 : position, true, offer);
    if (!h.blank()) emit(h, last, position, false, offer);
    const Lexicon::Node node = at_root ? Lexicon::root : position;
    const double worth = static_cast<double>(graph_->smear()[node]) + static_cast<double>(graph_->potential(h.state()));
    // Of the children only those that can be of use, whatever the word.
    const double needed =
        std::max(-above(above(h.score() + above(worth)) - hopeless), std::numeric_limits<double>::lowest());
    const auto [first, count] = lexicon_->children(node);
    for (Lexicon::Node child = first; child < first + count; ++child)
      if (const Token token = lexicon_->token(child); token != barred && through_[token] >= needed)
        enter(h, child, token, hopeless, offer);
    const auto silence = graph_->weights().silence;
    if (at_root && silence && *silence != barred) emit(h, *silence, nodes_ + *silence, false, offer);
  }

 private:
  static constexpr double nothing = -std::numeric_limits<double>::infinity();
  static constexpr std::uint32_t no_word = WordHistory::no_label;

  double remaining(Position position) const { return static_cast<double>(look_ahead_->remaining(next_, position)); }
  double remaining(Position position, State state) const {
    return sum_up(remaining(position), static_cast<double>(graph_->potential(state)));
  }

  template <class Offer>
  void emit(const PathHypothesis& h, Token token, Position position, bool blank, const Offer& offer) const {
    if (emission_[token] != nothing)
      propose(Policy::sum(h.score(), emission_[token]), position, blank, h.state(), h, no_word, offer);
  }

  template <class Offer>
  void enter(const PathHypothesis& h, Lexicon::Node node, Token token, double hopeless, const Offer& offer) const {
    const double score = Policy::sum(h.score(), emission_[token]);
    if (lexicon_->children(node).count > 0) propose(score, node, false, h.state(), h, no_word, offer);
    const double worth = static_cast<double>(graph_->smear()[node]) + static_cast<double>(graph_->potential(h.state()));
    if (h.score() + sum_up(above(worth), through_root_[token]) < hopeless) return;  // whatever the word
    const auto [first, count] = lexicon_->endings(node);
    for (std::uint32_t ending = first; ending < first + count; ++ending)
      complete(score, token, graph_->word(h.state(), lexicon_->ending_word(ending)), h, ending, offer);
    if (count == 0 && graph_->allows_unknown())
      complete(score, token, graph_->unknown(h.state()), h, static_cast<std::uint32_t>(lexicon_->endings()) + node,
               offer);
  }

  template <class Offer>
  void complete(double score, Token token, const WordGraph::Step& step, const PathHypothesis& h, std::uint32_t word,
                const Offer& offer) const {
    if (step.score != nothing)
      propose(Policy::sum(score, step.score), nodes_ + token, false, step.next, h, word, offer);
  }

  template <class Offer>
  void propose(double score, Position position, bool blank, State state, const PathHypothesis& h, std::uint32_t word,
               const Offer& offer) const {
    offer(PathCandidate{score + remaining(position, state), score, position, state,
                        PathCandidate::packed(h.history(), blank), word});
  }

  const WordGraph* graph_;
  const Lexicon* lexicon_;
  const LookAhead* look_ahead_ = nullptr;
  std::size_t next_ = 0;
  Position nodes_;
  Token blank_;
  Buffer<double> emission_;      // [tokens] of this frame
  Buffer<double> through_root_;  // [tokens] the same, and what may follow at the root
  Buffer<double> through_;       // [tokens] the same, and what may follow anywhere
};

}  // namespace mpp::speech

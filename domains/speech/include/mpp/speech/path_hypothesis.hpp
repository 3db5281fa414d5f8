#pragma once
#include <array>
#include <bit>
#include <cstdint>

#include <mpp/speech/word_graph.hpp>

namespace mpp::speech {

/// One live hypothesis of a search in max semantics: 20 bytes. Equal (position, blank, state) go on in the same way.
class PathHypothesis {
 public:
  using State = WordGraph::State;
  PathHypothesis() = default;
  PathHypothesis(double score, WordGraph::Position position, bool blank, State state, std::uint32_t history)
      : score_(std::bit_cast<Halves>(score)), position_(position), state_(state),
        history_(history << 1 | static_cast<std::uint32_t>(blank)) {}

  double score() const { return std::bit_cast<double>(score_); }  ///< nats, rounded up
  WordGraph::Position position() const { return position_; }
  bool blank() const { return (history_ & 1) != 0; }  ///< the last frame emitted a blank, or there was none
  State state() const { return state_; }
  std::uint32_t history() const { return history_ >> 1; }
  void set_history(std::uint32_t number) { history_ = number << 1 | (history_ & 1); }

 private:
  using Halves = std::array<std::uint32_t, 2>;  // a double would be aligned to 8 bytes, and four of 24 left unused
  Halves score_;
  WordGraph::Position position_;
  State state_;
  std::uint32_t history_;
};
static_assert(sizeof(PathHypothesis) == 20);

}  // namespace mpp::speech

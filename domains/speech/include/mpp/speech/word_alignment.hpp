#pragma once
#include <cstddef>
#include <cstdint>
#include <memory_resource>
#include <span>

#include <mpp/core/memory/bytes.hpp>
#include <mpp/core/memory/uninitialized.hpp>
#include <mpp/speech/ctc_score.hpp>
#include <mpp/speech/emissions.hpp>
#include <mpp/speech/word_graph.hpp>

namespace mpp::speech {

/// A best path of given words through the frames. All memory is taken by the constructor.
///
/// A word is a number: an ending of the lexicon, or endings() + node for an unknown one that spells the way to that node.
class WordAlignment {
 public:
  WordAlignment(std::pmr::memory_resource* memory, std::size_t frames);
  static Bytes bytes(std::size_t frames);

  /// Finds the path, O(frames * tokens of the words) in linear memory (Hirschberg 1975).
  /// @return the score of that path, its sums rounded down and up; -infinity if there is none, and then no tokens
  LogInterval align(const Emissions& emissions, const WordGraph& graph, std::span<const std::uint32_t> words);

  // Of the last align(), until the next one.
  std::span<const Token> tokens() const { return {tokens_.data(), size_}; }  ///< spelled, silence between left out
  std::span<const std::uint32_t> frames() const { return {frames_.data(), size_}; }  ///< that first emit them
  /// Whether a word ends with the i-th token.
  bool ends(std::size_t i) const { return ends_[i] != 0; }

 private:
  // State 3 j + kind after a frame: j tokens have begun; the frame emitted the j-th, or after it a blank, or silence.
  enum Kind : std::size_t { token, blank, silence };
  struct Triple {
    double value[3];
  };

  bool spell(const WordGraph& graph, std::span<const std::uint32_t> words);
  bool boundary(std::size_t j) const { return j == 0 || ends_[j - 1] != 0; }
  bool barred(Token k, std::size_t j) const { return j > 0 && tokens_[j - 1] == k; }
  double entered(std::span<const float> row, std::size_t j, const Triple& before) const;
  void step(std::size_t frame, std::size_t first, std::size_t last);
  void step_back(std::size_t frame, std::size_t first, std::size_t last);
  bool split(std::size_t from, std::size_t to, std::size_t a, std::size_t b_first, std::size_t b_last);
  template <class Sum>
  double score(const Sum& sum) const;

  Buffer<Token> tokens_;           // [frames]
  Buffer<double> gain_;            // [frames] what the word that ends there is worth, or 0
  Buffer<std::uint8_t> ends_;      // [frames]
  Buffer<std::uint32_t> frames_;   // [frames]
  Buffer<std::uint32_t> path_;     // [frames] state after each frame
  Buffer<Triple> forward_, back_;  // [frames + 1]
  std::size_t size_ = 0;
  double end_ = 0.0;
  const Emissions* emissions_ = nullptr;
  const WordGraph* graph_ = nullptr;
};

}  // namespace mpp::speech

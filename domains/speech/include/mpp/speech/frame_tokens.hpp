#pragma once
#include <cstddef>
#include <cstdint>
#include <memory_resource>
#include <span>

#include <mpp/core/memory/bytes.hpp>
#include <mpp/core/memory/uninitialized.hpp>

namespace mpp::speech {

/// One frame made ready for the search: probabilities, and the labels worth a new hypothesis, most probable first.
class FrameTokens {
 public:
  FrameTokens(std::pmr::memory_resource* memory, std::size_t tokens);

  /// @param row        [tokens], normalised natural logarithms
  /// @param threshold  labels with a smaller probability are not listed
  void prepare(std::span<const float> row, std::size_t blank, double threshold);

  /// Divides by sum(), so that the mass of all paths is 1 within frames * normalise_rounding(tokens).
  void normalise();
  static double normalise_rounding(std::size_t tokens) { return static_cast<double>(tokens + 4) * 0x1p-50; }

  double probability(std::size_t token) const { return probability_[token]; }
  double blank_probability() const { return probability_[blank_]; }
  std::span<const std::uint32_t> labels() const { return {labels_.data(), labels_.size()}; }  ///< without the blank
  double rest() const { return rest_; }                ///< largest probability of a label that is not listed, or 0
  double most() const { return most_; }                ///< largest probability of any token
  double first_label() const { return first_label_; }  ///< largest probability of a label, or 0
  double second_label() const { return second_label_; }
  double sum() const { return sum_; }  ///< of all probabilities, rounded up

  static Bytes bytes(std::size_t tokens) { return bytes_of<double>(tokens) + bytes_of<std::uint32_t>(tokens); }

 private:
  Buffer<double> probability_;    ///< [tokens]
  Buffer<std::uint32_t> labels_;  ///< [listed]
  std::size_t blank_ = 0;
  double rest_ = 0.0, most_ = 0.0, first_label_ = 0.0, second_label_ = 0.0, sum_ = 0.0;
};

}  // namespace mpp::speech

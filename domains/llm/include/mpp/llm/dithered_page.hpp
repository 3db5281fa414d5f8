#pragma once
#include <cstddef>
#include <cstdint>
#include <memory_resource>
#include <span>
#include <vector>

#include <mpp/core/guarantees/sampling_coin.hpp>

namespace mpp::llm {

/// Where the dither of one matrix of keys or of values comes from. The seed is drawn after the tokens are fixed; no other
/// matrix (of any layer, head, sequence or page) may have the same number under the same seed.
struct DitherCounter {
  guarantees::Seed seed{};
  std::uint64_t matrix = 0;
};

/// How many bits of a code are read: 4 is the upper half of 8.
enum class DitherLevel : std::uint8_t { bits4, bits8 };

/// Keys, or values, of one page in codes per channel with subtractive dither, of which the upper 4 bits are codes as well.
///
/// A number x, in steps from the zero of its channel, is in [0, 240]. With a dither U in [0, 16) from a counter hash its code is
/// floor(x + U); code + 1/2 - U stands for x, and so does 16 (code / 16 + 1/2) - U. The error of both is uniform over one of its
/// steps, whatever x is, and independent from number to number. The price is a step of range/240 instead of range/256.
/// Uniform up to its mean: 2^36 values of U, so the mean is within mean_error steps of 8 bits of 0.
///
/// A reference in double: the hash of a number is made again each time that it is read.
/// Source: Schuchman 1964; Gray and Stockham 1993. Proofs: docs/llm_dither.md. Tested by: tests/domains/llm/dither_test.cpp
class DitheredPage {
 public:
  static constexpr double mean_error = 0x1p-32;

  /// @param numbers  shape [tokens][channels], finite
  /// @throws ShapeError unless numbers are whole rows, at least one; ValueError, naming token and channel, for NaN and infinity
  DitheredPage(std::span<const float> numbers, std::size_t channels, DitherCounter counter,
               std::pmr::memory_resource* memory = std::pmr::get_default_resource());

  [[nodiscard]] std::size_t tokens() const noexcept { return code_.size() / step_.size(); }
  [[nodiscard]] std::size_t channels() const noexcept { return step_.size(); }
  [[nodiscard]] const DitherCounter& counter() const noexcept { return counter_; }

  /// What the code stands for; within 2^-50 (|zero| + 256 steps) of the real number.
  [[nodiscard]] double number(std::size_t token, std::size_t channel, DitherLevel level) const noexcept;
  /// Of the level.
  [[nodiscard]] double step(std::size_t channel, DitherLevel level) const noexcept {
    return static_cast<double>(step_[channel]) * (level == DitherLevel::bits4 ? 16.0 : 1.0);
  }
  /// |zero| + 256 steps: no number of the channel is larger.
  [[nodiscard]] double reach(std::size_t channel) const noexcept;

 private:
  double dither(std::size_t token, std::size_t channel) const noexcept;

  DitherCounter counter_;
  std::pmr::vector<float> zero_, step_;  // [channels], of 8 bits
  std::pmr::vector<std::uint8_t> code_;  // [tokens][channels]
};

}  // namespace mpp::llm

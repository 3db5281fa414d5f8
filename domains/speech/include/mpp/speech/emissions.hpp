#pragma once
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <vector>

namespace mpp::speech {

/// What an acoustic model says about every frame: a view, the memory stays the caller's.
struct Emissions {
  std::span<const float> log_probs;  ///< [frames, tokens], row-major, natural logarithms; -infinity is allowed
  std::size_t frames = 0;            ///< >= 1
  std::size_t tokens = 0;            ///< >= 1, the blank included
  std::size_t blank = 0;             ///< index of the CTC blank, < tokens

  std::span<const float> row(std::size_t frame) const { return log_probs.subspan(frame * tokens, tokens); }
};

/// The same, with the memory.
struct EmissionMatrix {
  std::vector<float> log_probs;  ///< [frames, tokens]
  std::size_t frames = 0;
  std::size_t tokens = 0;

  Emissions view(std::size_t blank) const { return {log_probs, frames, tokens, blank}; }
};

/// Largest deviation of a row's sum from 1 that check_normalised() accepts.
inline constexpr double row_sum_tolerance = 1e-3;

/// @param first_frame  number of the first frame in messages
/// @throws ShapeError  no frames, no tokens, 2^31 or more of either, a size other than frames * tokens
/// @throws ValueError  blank >= tokens, a NaN, a +infinity; the message names frame and token
void check_emissions(const Emissions& emissions, std::uint64_t first_frame = 0);

/// Sum semantics conserves mass, so its certificates need rows that are distributions.
/// @throws what check_emissions() throws, and ValueError naming the first row whose sum of exp() is not within
///         row_sum_tolerance of 1 (a row of only -infinity sums to 0)
void check_normalised(const Emissions& emissions, std::uint64_t first_frame = 0);

/// Each row minus the logarithm of its sum of exp(), computed in double. For logits, and for log-probabilities that were
/// rounded when they were written. @throws ShapeError, ValueError as check_emissions(); ValueError for a row without mass
[[nodiscard]] EmissionMatrix log_softmax(const EmissionMatrix& matrix);

/// [[...], ...] of numbers, or an object with exactly one such member. null stands for -infinity, which JSON lacks.
/// @throws FormatError  not readable, not JSON, not a matrix of finite numbers, rows of different length, empty
[[nodiscard]] EmissionMatrix read_emissions_json(const std::filesystem::path& path);

/// One frame per line, numbers separated by ';' or ',' (one of them throughout); a separator at the end of a line is
/// allowed, and so are empty lines at the end. "-inf" stands for -infinity.
/// @throws FormatError  not readable, something else than numbers, rows of different length, empty
[[nodiscard]] EmissionMatrix read_emissions_csv(const std::filesystem::path& path);

}  // namespace mpp::speech

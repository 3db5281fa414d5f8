#pragma once
#include <cstddef>
#include <cstdint>
#include <span>

#include <mpp/speech/emissions.hpp>

namespace mpp::speech {

/// ln P(labels) lies in [lower, upper]; -infinity is possible for both.
struct LogInterval {
  double lower, upper;
};

/// ln of the total probability of all CTC paths that collapse to `labels`: the forward algorithm in double, whose rounding
/// is in the interval. O(frames * labels).
///
/// @param labels   each < tokens and not the blank
/// @param scratch  at least score_scratch(frames) doubles; labels beyond `frames` have probability 0 and need none
[[nodiscard]] LogInterval ctc_log_probability(const Emissions& emissions, std::span<const std::uint32_t> labels,
                                              std::span<double> scratch);

/// Frame at which the most probable single path of `labels` first emits each of them. Linear memory (Hirschberg 1975).
///
/// @param labels  P(labels) > 0 is expected; otherwise the frames are merely increasing where that is possible
/// @param frames  [labels], written, non-decreasing; strictly increasing if P(labels) > 0
void ctc_label_frames(const Emissions& emissions, std::span<const std::uint32_t> labels, std::span<double> scratch,
                      std::span<std::uint32_t> frames);

/// Doubles that both of the above need.
constexpr std::size_t score_scratch(std::size_t frames) { return 2 * (2 * frames + 1); }

}  // namespace mpp::speech

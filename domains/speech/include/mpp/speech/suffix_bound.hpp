#pragma once
#include <cstddef>
#include <memory_resource>
#include <span>

#include <mpp/core/memory/bytes.hpp>
#include <mpp/speech/emissions.hpp>
#include <mpp/speech/rounding.hpp>

namespace mpp::speech {

/// How much work one frame of the suffix bound may take.
struct SuffixOptions {
  std::size_t horizon = 16;       ///< frames per segment, >= 1; 1 takes the closed form of one frame
  std::size_t live_cap = 16;      ///< hypotheses inside a segment, >= 1; what is dropped there is added
  std::size_t start_symbols = 2;  ///< labels that a segment is searched from by themselves, beside the blank
  double token_threshold = 1e-3;  ///< inside a segment
};

/// Upper bounds on what the frames after t can do for any one labelling:
///
///   bounds[t] >= max over z, over all tokens s that frame t - 1 may end in, of P(z | frames t, t + 1, ... after s)
///
/// with bounds[frames] = 1, each the best of all segments [t, v) whose lengths are 1, 2, 4, ... and the horizon:
/// bounds[t] <= C(t, v) bounds[v], where C is the largest sum of segment masses over a chain of prefixes (proof in
/// docs/speech.md). The tempting product of the largest probability of each frame is not such a bound.
///
/// @param emissions  normalised (check_normalised)
/// @param bounds     [frames + 1], written; rounded up
/// @param memory     takes suffix_bound_bytes() and gives them back
void suffix_bounds(const Emissions& emissions, const SuffixOptions& options, std::span<Scaled> bounds,
                   std::pmr::memory_resource* memory);
[[nodiscard]] Bytes suffix_bound_bytes(std::size_t tokens, const SuffixOptions& options);

/// bounds[t] = the mass of all paths of the frames from t on: admissible, no work, loose.
/// @return the total mass of all paths, rounded up (1 for rows that are exactly normalised)
double mass_bounds(const Emissions& emissions, std::span<Scaled> bounds);

}  // namespace mpp::speech

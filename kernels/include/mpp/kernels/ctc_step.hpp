#pragma once
#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>

#include <mpp/kernels/context.hpp>

namespace mpp::kernels {

inline constexpr std::uint32_t no_ctc_node = std::numeric_limits<std::uint32_t>::max();
inline constexpr std::size_t most_ctc_cap = 128;                      ///< live hypotheses of one utterance
inline constexpr std::size_t most_ctc_tokens = std::size_t{1} << 20;  ///< the blank included
inline constexpr std::size_t most_ctc_nodes = (std::size_t{1} << 31) - 1;

/// A live prefix with the mass of the paths that collapse to it, split by whether their last token is the blank.
struct CtcHypothesis {
  float blank_mass, label_mass;  ///< times 2^CtcProgress::exponent
  std::uint32_t node;            ///< of the arena of its utterance
  friend bool operator==(const CtcHypothesis&, const CtcHypothesis&) = default;
};

/// A prefix: its parent's and one more label. Node 0 is the empty prefix, and parents come before their children.
struct CtcNode {
  std::uint32_t parent, label;              ///< both no_ctc_node for the empty prefix
  std::uint32_t first_child, next_sibling;  ///< each prefix has at most one node
  std::uint32_t slot;                       ///< its place among the live, or no_ctc_node
  friend bool operator==(const CtcNode&, const CtcNode&) = default;
};

/// What has been dropped at a prefix, times the bound on what the frames after it can do (certificate S3 of
/// docs/speech.md), in units of 2^CtcUtterance::unit, rounded up.
struct CtcCharges {
  float own;    ///< charged to every labelling that begins with this prefix
  float below;  ///< charged to those that begin with it and go on with a label for which there is no node
  friend bool operator==(const CtcCharges&, const CtcCharges&) = default;
};

/// mantissa * 2^exponent; the mantissa is 0 or in [1, 2].
struct CtcBound {
  float mantissa;
  std::int32_t exponent;
};

/// One search: its next frames and its state, views of memory of the context's device. Utterances of one call may differ in
/// everything but the tokens. The state is read and written; it means something together with its CtcProgress.
struct CtcUtterance {
  std::span<const float>
      log_probs;                  ///< [frames, tokens], natural logarithms, each row normalised; -infinity is allowed
  std::span<CtcHypothesis> live;  ///< [cap], cap in [1, most_ctc_cap]; best first, `CtcProgress::live` of them
  std::span<CtcNode> nodes;       ///< [capacity]; 1 + frames * cap of the whole search are always enough
  std::span<std::uint64_t> scratch;   ///< [ctc_scratch_words(cap, tokens)], of no meaning between calls
  std::span<const CtcBound> after{};  ///< [frames] or empty: after[t] bounds any labelling of the frames after t
  std::span<CtcCharges> charges{};    ///< [capacity] if `after` is given, else empty
  std::int32_t unit = 0;              ///< of the charges
};

/// How far a search has come. A default one begins with the empty prefix, mass 1.
struct CtcProgress {
  double dropped =
      0.0;  ///< mass of all paths dropped so far, times 2^exponent, rounded up; infinite when it is too large
  std::int64_t exponent = 0;
  std::uint32_t frames = 0;
  std::uint32_t live = 0;
  std::uint32_t nodes = 0;  ///< of the arena in use; 0 before the first call
  friend bool operator==(const CtcProgress&, const CtcProgress&) = default;
};

constexpr std::size_t ctc_scratch_words(std::size_t cap, std::size_t tokens) noexcept {
  return tokens + cap * tokens + (cap * tokens + 1) / 2;
}

/// CTC prefix search in sum semantics with merged prefixes, for all frames of all utterances in one launch. A search given
/// in pieces is the search of the whole.
///
/// A frame multiplies and adds in double and rounds each mass to float once, so that over T frames every mass, kept or
/// dropped, errs by a factor of at most exp((T + 2)(2^-24 + 2^-46)). Kept are the cap best: larger mass first, then the
/// smaller node, nodes before prefixes without one, and those by their parent's node, then by label. Masses below 2^-96,
/// and new prefixes for which the arena has no room, are not kept. Whatever is not kept is counted in `dropped` and, where
/// there are charges, charged to its prefix. All devices give the same bits.
///
/// @param utterances  host array of views of memory of `context.device`
/// @param progress    [utterances], host; read and written
/// @throws ShapeError  sizes that do not fit each other or the limits above; nothing has been touched
/// @throws ValueError  blank >= tokens; a row with NaN or whose probabilities do not sum to 1 within 1e-3, named by
///                     utterance and frame: the searches of this call are lost then, `progress` is as it was
/// Proofs: docs/speech.md. Tested by: tests/kernels/ctc_step_test.cpp, ctc_step_soundness_test.cpp
void ctc_step(const Context& context, std::size_t tokens, std::size_t blank, std::span<const CtcUtterance> utterances,
              std::span<CtcProgress> progress);

/// Certificate S1 without another pass: no labelling has more than exp(result) times the probability of the best live one.
/// @param live  host, the `progress.live` hypotheses
/// @return nats, rounded up; 0 proves the best to be the optimum, infinity says nothing
[[nodiscard]] double ctc_mass_gap(const CtcProgress& progress, std::span<const CtcHypothesis> live);

}  // namespace mpp::kernels

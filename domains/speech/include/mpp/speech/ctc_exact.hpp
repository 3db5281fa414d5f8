#pragma once
#include <cstddef>
#include <cstdint>
#include <memory_resource>
#include <span>
#include <stdexcept>

#include <mpp/core/memory/bytes.hpp>
#include <mpp/core/memory/uninitialized.hpp>
#include <mpp/speech/emissions.hpp>
#include <mpp/speech/incumbents.hpp>
#include <mpp/speech/rounding.hpp>

namespace mpp::speech {

/// A search that may not leave anything out has taken as much as it may and has not finished.
struct SearchTooLong : std::runtime_error {
  using std::runtime_error::runtime_error;
};

/// Branch and bound over prefixes: finds the labelling with the largest total probability.
///
/// A prefix q keeps, for each frame, the mass of the paths that have become q by then. Every labelling that begins with
/// q k has at most B(q k) = sum over t of (mass that becomes q k at frame t) * after[t + 1]; a prefix is left aside only if
/// B, rounded up, does not exceed the incumbent's probability, rounded down. So the live set is not capped, and what is
/// pruned cannot win. Children in the order of B, depth first: memory is known beforehand and small,
/// frames^2 doubles; time is what grows with the difficulty, and predicted_expansions() bounds it.
class ExactSearch {
 public:
  ExactSearch(std::pmr::memory_resource* memory, std::size_t frames, std::size_t tokens);
  static Bytes bytes(std::size_t frames, std::size_t tokens);

  /// Leaves the optimum as the first incumbent; equal within the rounding of a double means equal.
  /// @param incumbents      not empty: the better the first, the faster
  /// @param after           [frames + 1] suffix bounds
  /// @param scratch         score_scratch(frames) doubles
  /// @return                false after `limit` expansions without an end; the incumbents may have improved
  bool run(const Emissions& emissions, std::span<const Scaled> after, Incumbents& incumbents, std::span<double> scratch,
           std::uint64_t limit);
  std::uint64_t expanded() const { return expanded_; }  ///< prefixes, by the last run()

 private:
  struct Child {
    float bound;  // rounded up
    std::uint32_t label;
  };
  struct Prefix {
    std::uint32_t label, children, next;  // next: the first child that has not been visited
  };
  // Masses of the prefix at depth d after t frames, t in [d, frames].
  double* total(std::size_t depth) { return masses_.data() + row(depth); }
  double* blank(std::size_t depth) { return masses_.data() + row(depth) + (frames_ + 1 - depth); }
  std::size_t row(std::size_t depth) const { return 2 * (depth * (frames_ + 1) - depth * (depth - 1) / 2); }

  void enter(std::size_t depth, std::uint32_t label);
  void expand(std::size_t depth);

  std::size_t frames_, tokens_, blank_token_ = 0;
  std::uint64_t expanded_ = 0;
  double incumbent_ = 0.0;        // probability of the first incumbent, rounded down
  Buffer<double> probability_;    // [tokens, frames]
  Buffer<double> after_;          // [frames + 1]
  Buffer<double> weighted_;       // [frames]: masses of a prefix times after_
  Buffer<double> masses_;         // triangular
  Buffer<Child> children_;        // [frames, tokens]
  Buffer<Prefix> path_;           // [frames + 1]
  Buffer<std::uint32_t> labels_;  // [frames]
};

/// Most prefixes that ExactSearch can expand when its incumbent is the optimum, whose probability is at least exp(log_lower):
/// prefixes of one length are disjoint events, so at most total / P of them reach P.
[[nodiscard]] double predicted_expansions(std::size_t frames, double total, double log_lower);

}  // namespace mpp::speech

#pragma once
#include <algorithm>
#include <cmath>
#include <limits>

#include <mpp/speech/directed.hpp>
#include <mpp/speech/viterbi_search.hpp>

namespace mpp::speech {

/// The decisions on which the gap of a stream rests, beside those of the search; tests replace them by broken ones.
struct WordStreamAccounting : ViterbiAccounting {
  static double told(double value) { return value; }  ///< what is dropped by a commitment or a closing counts
  static double later(double charged, double most) { return sum_up(charged, most); }  ///< and so does what follows it
};

/// Upper bound D of the value of all paths that were dropped, relative to the same as the scores. docs/speech_stream.md
template <class Policy>
class DroppedPaths {
 public:
  void add(double value) { most_ = std::max(most_, value); }
  /// More frames, which add that much at most to a path. Nothing stays nothing.
  void carry_on(double most) { most_ = std::isinf(most_) || std::isinf(most) ? nothing : Policy::later(most_, most); }
  void rebase(double off) {
    if (!std::isinf(most_)) most_ = sum_up(most_, -off);
  }

  /// How far something dropped may be above an answer whose score lies in [lower, upper]; `context`: its potential, that
  /// counts in the values. The other paths to the same place are not above `upper`.
  double gap(double context, double lower, double upper) const {
    if (most_ == nothing || sum_up(most_, -context) <= upper) return 0.0;
    if (lower == nothing) return std::numeric_limits<double>::infinity();
    return sum_up(sum_up(most_, -context), -lower);
  }

 private:
  static constexpr double nothing = -std::numeric_limits<double>::infinity();
  double most_ = nothing;
};

}  // namespace mpp::speech

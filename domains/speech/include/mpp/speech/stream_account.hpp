#pragma once
#include <algorithm>
#include <cmath>
#include <limits>

#include <mpp/speech/certificate.hpp>
#include <mpp/speech/ctc_score.hpp>
#include <mpp/speech/rounding.hpp>

namespace mpp::speech {

/// What a segment, once closed, can have added to a labelling. Logarithms, rounding included; mass 1 where it begins.
struct ClosedSegment {
  LogInterval kept;    ///< mass of its answer, the one hypothesis that goes on
  double through;      ///< charged to any labelling that begins with the answer
  double outside;      ///< charged to any other
  double blank_chain;  ///< largest sum along a chain of prefixes, of the masses that end in the blank ...
  double other_chain;  ///< ... and of all other mass, what was charged included
};

/// The certificate of a whole stream over its closed segments, in a few logarithms: hours fit into no double otherwise.
/// Rows are normalised, so no labelling gains from the frames to come. docs/speech_stream.md has the proofs.
class StreamAccount {
 public:
  /// @param first_label  ln of the largest probability of a label at the first frame of the segment
  void close(const ClosedSegment& s, double first_label) {
    outside_ = std::max(outside_, log_add_up(through_, kept_.upper + s.outside));
    through_ = log_add_up(through_, kept_.upper + s.through);
    kept_ = after(s.kept);
    const double begun = log_add_up(blank_, other_);
    other_ = log_add_up(begun + s.other_chain, other_ + first_label);
    blank_ = begun + s.blank_chain;
    blank_ = std::nextafter(blank_, infinity);
  }

  /// What no labelling of the stream but the answer exceeds.
  /// @param open         certificate of the open segment, in which all mass is 1 at the start
  /// @param chain        ln of the largest sum of masses and charges along a chain of prefixes in it
  /// @param first_label  as in close(), of the open segment
  Certificate others(const Certificate& open, double chain, double first_label) const {
    const double charges = std::max(outside_, log_add_up(through_, kept_.upper + open.chains));
    // 1 - (mass found) is not above (1 - kept) + kept (1 - mass found in the open segment).
    const double lost = -std::expm1(kept_.lower) * (1.0 + 0x1p-40);
    const double mass = log_add_up(log_up(lost, 0), kept_.upper + open.mass);
    const double product = log_add_up(log_add_up(blank_, other_) + chain, other_ + first_label);
    return {mass, charges, std::min(product, 0.0)};
  }

  /// ln P of the answer, from its mass in the open segment and that with all charges on its way there.
  LogInterval answer(LogInterval open) const {
    return {after(open).lower, std::min(0.0, log_add_up(through_, kept_.upper + open.upper))};
  }

 private:
  static constexpr double infinity = std::numeric_limits<double>::infinity();

  LogInterval after(LogInterval segment) const {  // the sums rounded outward
    return {std::nextafter(kept_.lower + segment.lower, -infinity),
            std::nextafter(kept_.upper + segment.upper, infinity)};
  }

  LogInterval kept_{0.0, 0.0};  ///< mass that the search has carried to the last closing; every other path is charged
  double through_ = -infinity;  ///< charged to labellings that begin with the answer of the closed segments
  double outside_ = -infinity;  ///< no other labelling exceeds it
  double blank_ = 0.0;  ///< what any labelling may have brought to the last closing, in paths that end in the blank
  double other_ = -infinity;  ///< the same in all other paths
};

}  // namespace mpp::speech

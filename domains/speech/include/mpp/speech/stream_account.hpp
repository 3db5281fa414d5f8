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

/// What any one labelling may have brought to the last closing, ln: in paths that ended there in the blank, and in others.
struct Brought {
  static constexpr double infinity = std::numeric_limits<double>::infinity();
  double blank = -infinity, other = -infinity;

  /// One segment later. After the blank, a chain of prefixes collects its sums. After a label that begins the segment
  /// once more, the paths that do so count beside those; where that gives more than there was, what there was.
  /// @param first_label  ln of the largest probability of a label at the first frame of the segment
  Brought after(const ClosedSegment& s, double first_label) const {
    const double others = log_add_up(s.other_chain, first_label);
    if (log_add_up(s.blank_chain, others) > 0.0)
      return {std::nextafter(blank + s.blank_chain, infinity), log_add_up(blank + s.other_chain, other)};
    return {std::nextafter(log_add_up(blank, other) + s.blank_chain, infinity),
            log_add_up(blank + s.other_chain, other + others)};
  }
  /// The end of the stream, for the largest sum `chain` of all mass along a chain of prefixes of the last segment.
  double at_end(double chain, double first_label) const {
    return log_add_up(log_add_up(blank, other) + chain, other + first_label);
  }
  Brought with_other(double more) const { return {blank, log_add_up(other, more)}; }
  friend Brought max(const Brought& a, const Brought& b) {
    return {std::max(a.blank, b.blank), std::max(a.other, b.other)};
  }
};

/// The certificate of a whole stream over its closed segments, in a few logarithms: hours fit into no double otherwise.
/// What a segment dropped is worth no more than what later segments let any labelling keep. docs/speech_stream.md proves it.
class StreamAccount {
 public:
  /// @param first_label  as in Brought::after()
  void close(const ClosedSegment& s, double first_label) {
    const Brought on = through_.after(s, first_label);
    outside_ = max(outside_.after(s, first_label), on.with_other(kept_.upper + s.outside));
    through_ = on.with_other(kept_.upper + s.through);
    any_ = any_.after(s, first_label);
    kept_ = kept_and(s.kept);
  }

  /// What no labelling of the stream but the answer exceeds.
  /// @param open   certificate of the open segment, in which all mass is 1 at the start
  /// @param chain  ln of the largest sum of masses and charges along a chain of prefixes in it
  Certificate others(const Certificate& open, double chain, double first_label) const {
    const double along = log_add_up(through_.at_end(chain, first_label), kept_.upper + open.chains);
    // 1 - (mass found) is not above (1 - kept) + kept (1 - mass found in the open segment).
    const double lost = -std::expm1(kept_.lower) * (1.0 + 0x1p-40);
    const double mass = log_add_up(log_up(lost, 0), kept_.upper + open.mass);
    return {mass, std::max(along, outside_.at_end(chain, first_label)), std::min(any_.at_end(chain, first_label), 0.0)};
  }

  /// ln P of the answer, from its mass in the open segment and that with all charges on its way there.
  LogInterval answer(LogInterval open, double chain, double first_label) const {
    const double upper = log_add_up(through_.at_end(chain, first_label), kept_.upper + open.upper);
    return {kept_and(open).lower, std::min(0.0, upper)};
  }

 private:
  LogInterval kept_and(LogInterval segment) const {  // the sums rounded outward
    return {std::nextafter(kept_.lower + segment.lower, -Brought::infinity),
            std::nextafter(kept_.upper + segment.upper, Brought::infinity)};
  }

  LogInterval kept_{0.0, 0.0};  ///< mass that the search has carried to the last closing; every other path is charged
  Brought through_;             ///< charged to labellings that begin with the answer of the closed segments
  Brought outside_;             ///< charged to any other
  Brought any_{0.0};            ///< all mass of a labelling
};

}  // namespace mpp::speech

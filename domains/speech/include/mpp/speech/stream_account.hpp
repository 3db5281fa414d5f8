#pragma once
#include <algorithm>
#include <cmath>
#include <limits>

#include <mpp/speech/certificate.hpp>
#include <mpp/speech/ctc_score.hpp>
#include <mpp/speech/rounding.hpp>

namespace mpp::speech {

/// The certificate of a whole stream over its closed segments, in four logarithms: hours fit into no double otherwise.
/// Rows are normalised, so no labelling gains from the frames to come (docs/speech_stream.md).
class StreamAccount {
 public:
  /// ln of the mass that the search has carried to here; every other path has been charged.
  LogInterval kept() const { return kept_; }

  /// A segment is closed, and only its answer goes on.
  /// @param kept     ln of its mass, of 1 at the start of the segment
  /// @param through  ln of what was charged in it to any labelling that begins with its answer, rounding included
  /// @param outside  the same for labellings that do not
  void close(LogInterval kept, double through, double outside) {
    outside_ = std::max(outside_, log_add_up(through_, kept_.upper + outside));
    through_ = log_add_up(through_, kept_.upper + through);
    kept_ = after(kept);
  }

  /// What no labelling of the stream but the answer exceeds, from the certificate of the open segment, in which all mass
  /// is 1 at the start.
  double others(const Certificate& open) const {
    const double chains = std::max(outside_, log_add_up(through_, kept_.upper + open.chains));
    // 1 - (mass found) is not above (1 - kept) + kept (1 - mass found in the open segment).
    const double lost = -std::expm1(kept_.lower) * (1.0 + 0x1p-40);
    const double mass = log_add_up(log_up(lost, 0), kept_.upper + open.mass);
    return std::min({chains, mass, 0.0});
  }

  /// ln P of the answer, from its mass in the open segment and that with all charges on its way there.
  LogInterval answer(LogInterval open) const {
    return {after(open).lower, std::min(0.0, log_add_up(through_, kept_.upper + open.upper))};
  }

 private:
  LogInterval after(LogInterval segment) const {  // the sums rounded outward
    constexpr double infinity = std::numeric_limits<double>::infinity();
    return {std::nextafter(kept_.lower + segment.lower, -infinity),
            std::nextafter(kept_.upper + segment.upper, infinity)};
  }

  static constexpr double nothing = -std::numeric_limits<double>::infinity();
  LogInterval kept_{0.0, 0.0};
  double through_ = nothing;  ///< charged to labellings that begin with the answer of the closed segments
  double outside_ = nothing;  ///< no other labelling exceeds it
};

}  // namespace mpp::speech

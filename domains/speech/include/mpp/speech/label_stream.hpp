#pragma once
#include <cstdint>
#include <vector>

#include <mpp/speech/certificate.hpp>

namespace mpp::speech {

/// A label of the answer. Frames are counted from the start of the stream and increase from label to label.
struct StreamLabel {
  std::uint64_t frame;  ///< at which the label was emitted: an estimate, see the decoder
  std::uint32_t token;
  friend bool operator==(const StreamLabel&, const StreamLabel&) = default;
};

/// A part of the stream that is decided, and how far its labels may be from the best ones (see the decoder).
struct StreamSegment {
  std::uint64_t first_frame, end_frame;  ///< [first, end)
  std::uint64_t labels;                  ///< of the answer in this segment
  double gap;                            ///< nats, rounded up; 0: proven optimal
  double blank;  ///< probability that the last frame is a blank, the condition of the gap; 1 for the last segment
  friend bool operator==(const StreamSegment&, const StreamSegment&) = default;
};

/// What has become final, each thing once: feed() and finish() append. The caller's memory.
struct StreamOutput {
  std::vector<StreamLabel> labels;
  std::vector<StreamSegment> segments;
};

struct StreamResult {
  std::uint64_t frames, labels, segments;
  std::uint64_t forced;                   ///< commitments that some live hypothesis contradicted
  double log_prob_lower, log_prob_upper;  ///< ln of the answer's probability lies between them
  Certificate others;                     ///< no other labelling of all frames exceeds its least; `whole`: none at all
  double gap;                             ///< nats: no labelling of all frames has more than exp(gap) times of that
  friend bool operator==(const StreamResult&, const StreamResult&) = default;
};

}  // namespace mpp::speech

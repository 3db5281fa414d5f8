#pragma once
#include <algorithm>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <memory_resource>
#include <span>
#include <vector>

#include <mpp/core/error.hpp>
#include <mpp/core/memory/bytes.hpp>
#include <mpp/speech/certificate.hpp>
#include <mpp/speech/emissions.hpp>

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

/// What a stream asks of a search: one frame after the other, never a look back. It takes all its memory when it is
/// constructed, bytes() of it; step() and finish() append to an output that reserve() has made large enough, and neither
/// allocate nor throw.
template <class D>
concept StreamDecoder =
    requires(D& decoder, const D& idle, std::pmr::memory_resource* memory, const typename D::Options& options,
             const Emissions& chunk, std::span<const float> row, StreamOutput& output, std::size_t n) {
      D(memory, n, n, options);                          // tokens, blank
      { D::bytes(n, options) } -> std::same_as<Bytes>;   // for that many tokens
      D::check(chunk, std::uint64_t{});                  // throws for what step() cannot take
      { idle.frames() } -> std::same_as<std::uint64_t>;  // steps so far
      idle.reserve(output, n);                           // for n more steps and finish()
      decoder.step(row, output);                         // one frame
      idle.uncommitted(output.labels);                   // appends what the answer has beyond the output
      { decoder.finish(output) } -> std::same_as<StreamResult>;
    };

/// A decoder fed in chunks. How the frames are cut into chunks changes nothing, to the last bit.
///
/// An exception leaves the stream as it was before the call. Not thread-safe; streams share nothing.
///
///   CtcStream stream(&resource, tokens, blank);
///   StreamOutput output;
///   while (...) stream.feed(chunk, output);
///   const StreamResult result = stream.finish(output);
template <StreamDecoder Decoder>
class Stream {
 public:
  using Options = typename Decoder::Options;

  /// @param tokens  of a row, >= 1, the blank included
  /// @param blank   index of the blank, < tokens
  /// @throws ShapeError, ValueError  for tokens, blank and options
  Stream(std::pmr::memory_resource* memory, std::size_t tokens, std::size_t blank, const Options& options = {})
      : tokens_(tokens), blank_(blank), decoder_(memory, checked(tokens, blank), blank, options) {}

  /// Takes the next frames, and appends what has become final. A chunk may have no frames.
  /// @throws ShapeError, ValueError  tokens or blank of the chunk are not those of the stream, a row is not valid (the
  ///                                 message counts frames from the start of the stream), the stream is finished
  void feed(const Emissions& chunk, StreamOutput& output) {
    expects<ValueError>(!finished_, "Stream: feed() after finish()");
    expects<ShapeError>(chunk.tokens == tokens_, "Stream: the chunk has ", chunk.tokens, " tokens, expected ", tokens_);
    expects<ValueError>(chunk.blank == blank_, "Stream: the blank of the chunk is ", chunk.blank, ", expected ",
                        blank_);
    if (chunk.frames == 0 && chunk.log_probs.empty()) return;
    Decoder::check(chunk, decoder_.frames());
    decoder_.reserve(output, chunk.frames);
    for (std::size_t t = 0; t < chunk.frames; ++t) decoder_.step(chunk.row(t), output);
  }

  /// What the answer would have beyond the labels handed out, if the stream ended here. May change with later frames.
  [[nodiscard]] std::vector<StreamLabel> partial() const {
    std::vector<StreamLabel> labels;
    if (!finished_) decoder_.uncommitted(labels);
    return labels;
  }

  /// Ends the stream and appends the rest. @throws ValueError if it has ended before
  StreamResult finish(StreamOutput& output) {
    expects<ValueError>(!finished_, "Stream: finish() after finish()");
    decoder_.reserve(output, 0);
    finished_ = true;
    return decoder_.finish(output);
  }

  std::uint64_t frames() const { return decoder_.frames(); }
  const Decoder& decoder() const { return decoder_; }

  /// All bytes that the stream takes from its resource.
  static Bytes bytes(std::size_t tokens, const Options& options = {}) { return Decoder::bytes(tokens, options); }

 private:
  static std::size_t checked(std::size_t tokens, std::size_t blank) {
    constexpr std::size_t limit = std::size_t{1} << 31;
    expects<ShapeError>(tokens >= 1 && tokens < limit, "Stream: ", tokens, " tokens, expected 1 to 2^31 - 1");
    expects<ValueError>(blank < tokens, "Stream: blank is ", blank, ", expected below tokens = ", tokens);
    return tokens;
  }

  std::size_t tokens_, blank_;
  Decoder decoder_;
  bool finished_ = false;
};

}  // namespace mpp::speech

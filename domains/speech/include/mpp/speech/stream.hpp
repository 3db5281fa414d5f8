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
#include <mpp/speech/emissions.hpp>

namespace mpp::speech {

/// What a stream asks of a search: one frame after the other, never a look back. It takes all its memory when it is
/// constructed, bytes() of it; step() and finish() append to an output that reserve() has made large enough, and neither
/// allocate nor throw. What it says of the answer has types of its own: an Item (a label, a word), the Output that holds
/// what is final, and the Result at the end.
template <class D>
concept StreamDecoder = requires(D& decoder, const D& idle, std::pmr::memory_resource* memory,
                                 const typename D::Options& options, const Emissions& chunk, std::span<const float> row,
                                 typename D::Output& output, std::vector<typename D::Item>& items, std::size_t n) {
  D(memory, n, n, options);                          // tokens, blank
  { D::bytes(n, options) } -> std::same_as<Bytes>;   // for that many tokens
  D::check(chunk, std::uint64_t{});                  // throws for what step() cannot take
  { idle.frames() } -> std::same_as<std::uint64_t>;  // steps so far
  idle.reserve(output, n);                           // for n more steps and finish()
  decoder.step(row, output);                         // one frame
  idle.uncommitted(items);                           // appends what the answer has beyond the output
  { decoder.finish(output) } -> std::same_as<typename D::Result>;
};

/// Room for that many more, so that appending them takes no memory; it grows as push_back() would.
template <class T>
void reserve_more(std::vector<T>& to, std::size_t more) {
  if (to.capacity() - to.size() < more) to.reserve(std::max(to.size() + more, 2 * to.capacity()));
}

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
  using Item = typename Decoder::Item;
  using Output = typename Decoder::Output;
  using Result = typename Decoder::Result;

  /// @param tokens  of a row, >= 1, the blank included
  /// @param blank   index of the blank, < tokens
  /// @throws ShapeError, ValueError  for tokens, blank and options
  Stream(std::pmr::memory_resource* memory, std::size_t tokens, std::size_t blank, const Options& options = {})
      : tokens_(tokens), blank_(blank), decoder_(memory, checked(tokens, blank), blank, options) {}

  /// Takes the next frames, and appends what has become final. A chunk may have no frames.
  /// @throws ShapeError, ValueError  tokens or blank of the chunk are not those of the stream, a row is not valid (the
  ///                                 message counts frames from the start of the stream), the stream is finished
  void feed(const Emissions& chunk, Output& output) {
    expects<ValueError>(!finished_, "Stream: feed() after finish()");
    expects<ShapeError>(chunk.tokens == tokens_, "Stream: the chunk has ", chunk.tokens, " tokens, expected ", tokens_);
    expects<ValueError>(chunk.blank == blank_, "Stream: the blank of the chunk is ", chunk.blank, ", expected ",
                        blank_);
    if (chunk.frames == 0 && chunk.log_probs.empty()) return;
    Decoder::check(chunk, decoder_.frames());
    decoder_.reserve(output, chunk.frames);
    for (std::size_t t = 0; t < chunk.frames; ++t) decoder_.step(chunk.row(t), output);
  }

  /// What the best answer so far has beyond what was handed out. May change with later frames.
  [[nodiscard]] std::vector<Item> partial() const {
    std::vector<Item> items;
    if (!finished_) decoder_.uncommitted(items);
    return items;
  }

  /// Ends the stream and appends the rest. @throws ValueError if it has ended before
  Result finish(Output& output) {
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

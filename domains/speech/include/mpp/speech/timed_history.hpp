#pragma once
#include <cstddef>
#include <cstdint>
#include <memory_resource>

#include <mpp/core/memory/bytes.hpp>
#include <mpp/core/memory/uninitialized.hpp>
#include <mpp/speech/word_history.hpp>

namespace mpp::speech {

/// A WordHistory that also knows at which frame a word ended, modulo 2^32: 12 bytes a word.
class TimedHistory : public WordHistory {
 public:
  TimedHistory(std::pmr::memory_resource* memory, std::size_t capacity)
      : WordHistory(memory, capacity), frame_(capacity, memory) {}
  static Bytes bytes(std::size_t capacity) { return WordHistory::bytes(capacity) + bytes_of<std::uint32_t>(capacity); }

  std::uint32_t add(std::uint32_t parent, std::uint32_t label, std::uint64_t frame) {
    const std::uint32_t number = WordHistory::add(parent, label);
    frame_[number] = static_cast<std::uint32_t>(frame);
    return number;
  }
  std::uint32_t frame(std::uint32_t number) const { return frame_[number]; }

  void collect() {
    const auto all = static_cast<std::uint32_t>(size());
    WordHistory::collect();
    for (std::uint32_t number = 0; number < all; ++number)  // none moves to a larger number
      if (kept(number)) frame_[moved(number)] = frame_[number];
  }

  std::size_t depth(std::uint32_t number) const {
    std::size_t depth = 0;
    for (; number != beginning; number = parent(number)) ++depth;
    return depth;
  }
  /// The last word that two sequences begin with.
  std::uint32_t shared(std::uint32_t a, std::uint32_t b) const {
    while (a != b) (a > b ? a : b) = parent(a > b ? a : b);  // a parent's number is smaller
    return a;
  }

 private:
  Buffer<std::uint32_t> frame_;
};

}  // namespace mpp::speech

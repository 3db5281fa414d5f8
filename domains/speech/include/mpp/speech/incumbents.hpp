#pragma once
#include <cstddef>
#include <cstdint>
#include <memory_resource>
#include <span>

#include <mpp/core/memory/bytes.hpp>
#include <mpp/core/memory/uninitialized.hpp>
#include <mpp/speech/ctc_score.hpp>

namespace mpp::speech {

/// The best labellings seen so far, best first by the lower bound of their probability; equal ones in the order in which
/// they came. Never gets worse. Memory for `count` labellings of `frames` labels, taken by reserve().
class Incumbents {
 public:
  explicit Incumbents(std::pmr::memory_resource* memory) : labels_(memory), entries_(memory) {}
  void reserve(std::size_t count, std::size_t frames);
  static Bytes bytes(std::size_t count, std::size_t frames) {
    return bytes_of<std::uint32_t>((count + 1) * frames) + bytes_of<Entry>(count + 1);
  }

  /// Takes the labelling in, unless it is there already or worse than `count` others. At most `frames` labels.
  void offer(std::span<const std::uint32_t> labels, LogInterval log_probability);

  bool empty() const { return entries_.empty(); }
  std::size_t size() const { return entries_.size(); }
  std::span<const std::uint32_t> labels(std::size_t rank) const {
    return {labels_.data() + entries_[rank].place * frames_, entries_[rank].length};
  }
  LogInterval log_probability(std::size_t rank) const { return entries_[rank].log_probability; }

 private:
  struct Entry {
    LogInterval log_probability;
    std::size_t place, length;
  };
  Buffer<std::uint32_t> labels_;  ///< [count + 1, frames], one place is free
  Buffer<Entry> entries_;
  std::size_t count_ = 0, frames_ = 0;
};

}  // namespace mpp::speech

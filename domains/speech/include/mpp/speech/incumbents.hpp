#pragma once
#include <algorithm>
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

  /// The same with another order, and for labellings that may be the same without being equal: of these the better one
  /// stays. same(labels, labels), better(labels, log_probability, labels, log_probability).
  template <class Same, class Better>
  void offer(std::span<const std::uint32_t> labels, LogInterval log_probability, const Same& same,
             const Better& better);

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
  std::size_t free_place() const;

  Buffer<std::uint32_t> labels_;  ///< [count + 1, frames], one place is free
  Buffer<Entry> entries_;
  std::size_t count_ = 0, frames_ = 0;
};

template <class Same, class Better>
void Incumbents::offer(std::span<const std::uint32_t> labels, LogInterval p, const Same& same, const Better& better) {
  const auto worse = [&](std::size_t i) { return better(labels, p, this->labels(i), log_probability(i)); };
  std::size_t place = free_place(), i = 0;
  while (i < size() && !same(this->labels(i), labels)) ++i;
  if (i < size()) {
    if (!worse(i)) return;
    place = entries_[i].place;
    entries_.erase(entries_.begin() + static_cast<std::ptrdiff_t>(i));
  } else if (size() == count_ && !worse(size() - 1)) {
    return;
  }
  std::ranges::copy(labels, labels_.begin() + static_cast<std::ptrdiff_t>(place * frames_));
  std::size_t rank = 0;
  while (rank < size() && !worse(rank)) ++rank;
  entries_.insert(entries_.begin() + static_cast<std::ptrdiff_t>(rank), {p, place, labels.size()});
  if (entries_.size() > count_) entries_.pop_back();
}

}  // namespace mpp::speech

#pragma once
#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <memory_resource>

#include <mpp/core/memory/bytes.hpp>
#include <mpp/core/memory/uninitialized.hpp>

namespace mpp::speech {

/// The words that the hypotheses of a search have completed, as a tree of links to the word before: 8 bytes a word, for
/// all hypotheses that share it. Number 0 is the beginning; what comes later has a larger number.
///
/// The arena holds `capacity` words and never grows. collect() forgets what no kept number leads to.
class WordHistory {
 public:
  static constexpr std::uint32_t beginning = 0;
  static constexpr std::uint32_t no_label = 0xFFFF'FFFF;

  WordHistory(std::pmr::memory_resource* memory, std::size_t capacity)
      : words_(memory), kept_(memory), before_(memory), capacity_(capacity) {
    words_.reserve(capacity);
    kept_.assign(capacity / 64 + 1, 0);
    before_.assign(capacity / 64 + 1, 0);
    clear();
  }
  static Bytes bytes(std::size_t capacity) {
    return bytes_of<Word>(capacity) + bytes_of<std::uint64_t>(capacity / 64 + 1) +
           bytes_of<std::uint32_t>(capacity / 64 + 1);
  }

  void clear() { words_.assign(1, Word{beginning, no_label}); }
  /// The words of another arena, with their numbers. They must fit.
  void take(const WordHistory& other) { words_.assign(other.words_.begin(), other.words_.end()); }

  std::size_t size() const { return words_.size(); }
  std::size_t room() const { return capacity_ - words_.size(); }
  std::uint32_t parent(std::uint32_t number) const { return words_[number].parent; }
  std::uint32_t label(std::uint32_t number) const { return words_[number].label; }

  std::uint32_t add(std::uint32_t parent, std::uint32_t label) {
    words_.push_back({parent, label});
    return static_cast<std::uint32_t>(words_.size() - 1);
  }

  /// What followed `number` follows the beginning: its words and those before are for collect().
  void begin_after(std::uint32_t number) {
    for (Word& word : words_)
      if (word.parent == number) word.parent = beginning;
  }

  /// Which of two sequences is smaller: compared from the last word back, a smaller label first, then the shorter one.
  /// Each is a number and a label that follows it (no_label: none).
  bool smaller(std::uint32_t a, std::uint32_t a_label, std::uint32_t b, std::uint32_t b_label) const {
    if (a_label == no_label) pop(a, a_label);
    if (b_label == no_label) pop(b, b_label);
    while (a != b || a_label != b_label) {
      if (a_label == no_label || b_label == no_label) return a_label == no_label;
      if (a_label != b_label) return a_label < b_label;
      pop(a, a_label);
      pop(b, b_label);
    }
    return false;
  }

  // Collection: keep() everything that matters, collect(), ask moved() for each number kept, end_collect().
  void keep(std::uint32_t number) {
    for (; (kept_[number / 64] >> (number % 64) & 1) == 0; number = words_[number].parent)
      kept_[number / 64] |= std::uint64_t{1} << (number % 64);
  }
  void collect() {
    keep(beginning);
    std::uint32_t sum = 0;
    for (std::size_t block = 0; block < kept_.size(); ++block) {
      before_[block] = sum;
      sum += static_cast<std::uint32_t>(std::popcount(kept_[block]));
    }
    std::uint32_t to = 0;
    for (std::uint32_t from = 0; from < words_.size(); ++from)  // a parent's number is smaller
      if ((kept_[from / 64] >> (from % 64) & 1) != 0) words_[to++] = {moved(words_[from].parent), words_[from].label};
    words_.resize(to);
  }
  std::uint32_t moved(std::uint32_t number) const {
    const std::uint64_t smaller = (std::uint64_t{1} << (number % 64)) - 1;
    return before_[number / 64] + static_cast<std::uint32_t>(std::popcount(kept_[number / 64] & smaller));
  }
  bool kept(std::uint32_t number) const { return (kept_[number / 64] >> (number % 64) & 1) != 0; }
  void end_collect() { std::fill(kept_.begin(), kept_.end(), std::uint64_t{0}); }

 private:
  struct Word {
    std::uint32_t parent, label;
  };
  void pop(std::uint32_t& number, std::uint32_t& last) const {
    last = words_[number].label;
    number = words_[number].parent;
  }

  Buffer<Word> words_;
  Buffer<std::uint64_t> kept_;    // a bit for each word
  Buffer<std::uint32_t> before_;  // kept words in the blocks before
  std::size_t capacity_;
};

}  // namespace mpp::speech

#pragma once
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include <mpp/core/memory/bytes.hpp>

namespace mpp::speech {

/// Distinct words, numbered from 0 in the order in which they came. One block of text and an open-addressing index:
/// about 9 bytes a word plus its letters. Once filled it may be read by any number of threads.
class Vocabulary {
 public:
  /// The number of `word`, which is appended if it is new.
  /// @throws ValueError when 2^32 - 2 words or 2^32 - 1 bytes of text are full
  std::uint32_t add(std::string_view word);

  std::optional<std::uint32_t> find(std::string_view word) const noexcept;

  /// @param id  below size(). The view lives as long as the vocabulary and until the next add().
  std::string_view operator[](std::uint32_t id) const noexcept {
    return {text_.data() + first_[id], first_[id + 1] - first_[id]};
  }
  std::size_t size() const noexcept { return first_.size() - 1; }

  void shrink_to_fit();             ///< gives back the room kept for further words
  Bytes resident() const noexcept;  ///< host memory held, without sizeof(*this)

 private:
  std::size_t slot_of(std::string_view word) const noexcept;
  void grow();

  std::vector<char> text_;
  std::vector<std::uint32_t> first_{0};  // [size + 1] into text_
  std::vector<std::uint32_t> slots_;     // power of two; word numbers, or `free`
};

}  // namespace mpp::speech

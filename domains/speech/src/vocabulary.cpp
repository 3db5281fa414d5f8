#include <mpp/speech/vocabulary.hpp>

#include <algorithm>
#include <functional>
#include <limits>

#include <mpp/core/error.hpp>

namespace mpp::speech {
namespace {

constexpr std::uint32_t free_slot = std::numeric_limits<std::uint32_t>::max();

}  // namespace

// Where the word is, or where it belongs. There is always a free slot, so the walk ends.
std::size_t Vocabulary::slot_of(std::string_view word) const noexcept {
  const std::size_t mask = slots_.size() - 1;
  std::size_t at = std::hash<std::string_view>{}(word)&mask;
  while (slots_[at] != free_slot && (*this)[slots_[at]] != word) at = (at + 1) & mask;
  return at;
}

void Vocabulary::grow() {
  slots_.assign(std::max<std::size_t>(16, 2 * slots_.size()), free_slot);
  for (std::uint32_t id = 0; id < size(); ++id) slots_[slot_of((*this)[id])] = id;
}

std::uint32_t Vocabulary::add(std::string_view word) {
  if (8 * (size() + 1) > 7 * slots_.size()) grow();
  std::uint32_t& slot = slots_[slot_of(word)];
  if (slot != free_slot) return slot;
  constexpr std::size_t most = std::numeric_limits<std::uint32_t>::max();
  expects<ValueError>(size() < most - 1 && word.size() <= most - text_.size(), "Vocabulary::add: ", size(),
                      " words with ", text_.size(), " bytes of text, expected fewer than 2^32 of both");
  text_.insert(text_.end(), word.begin(), word.end());
  const auto id = static_cast<std::uint32_t>(size());
  first_.push_back(static_cast<std::uint32_t>(text_.size()));
  return slot = id;
}

std::optional<std::uint32_t> Vocabulary::find(std::string_view word) const noexcept {
  if (slots_.empty()) return std::nullopt;
  const std::uint32_t id = slots_[slot_of(word)];
  return id != free_slot ? std::optional(id) : std::nullopt;
}

void Vocabulary::shrink_to_fit() {
  text_.shrink_to_fit();
  first_.shrink_to_fit();
}

Bytes Vocabulary::resident() const noexcept {
  return Bytes{text_.capacity()} + bytes_of<std::uint32_t>(first_.capacity() + slots_.capacity());
}

}  // namespace mpp::speech

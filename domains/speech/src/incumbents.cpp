#include <algorithm>

#include <mpp/speech/incumbents.hpp>

namespace mpp::speech {

void Incumbents::reserve(std::size_t count, std::size_t frames) {
  count_ = count;
  frames_ = frames;
  entries_.reserve(count + 1);
  labels_.resize((count + 1) * frames);
}

void Incumbents::offer(std::span<const std::uint32_t> labels, LogInterval p) {
  const auto same = [](auto a, auto b) { return std::ranges::equal(a, b); };
  const auto better = [](auto, const LogInterval& a, auto, const LogInterval& b) { return a.lower > b.lower; };
  offer(labels, p, same, better);
}

// The places in use are 0, 1, ... until all but one are.
std::size_t Incumbents::free_place() const {
  if (size() < count_) return size();
  std::size_t sum = count_ * (count_ + 1) / 2;
  for (const Entry& entry : entries_) sum -= entry.place;
  return sum;
}

}  // namespace mpp::speech

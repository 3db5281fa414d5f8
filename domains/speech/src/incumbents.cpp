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
  for (std::size_t i = 0; i < size(); ++i)
    if (std::ranges::equal(this->labels(i), labels)) return;
  std::size_t place = size();
  if (place == count_) {  // full: the places in use are all but one
    if (!(p.lower > entries_.back().log_probability.lower)) return;
    std::size_t sum = count_ * (count_ + 1) / 2;
    for (const Entry& entry : entries_) sum -= entry.place;
    place = sum;
  }
  std::ranges::copy(labels, labels_.begin() + static_cast<std::ptrdiff_t>(place * frames_));
  const auto after =
      std::ranges::find_if(entries_, [&](const Entry& entry) { return p.lower > entry.log_probability.lower; });
  entries_.insert(after, {p, place, labels.size()});
  if (entries_.size() > count_) entries_.pop_back();
}

}  // namespace mpp::speech

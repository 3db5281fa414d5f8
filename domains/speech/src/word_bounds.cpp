#include <mpp/speech/word_bounds.hpp>

#include <algorithm>
#include <limits>

#include <mpp/core/error.hpp>

#include <mpp/speech/rounding.hpp>

namespace mpp::speech {

// Every sum here is formed as score() forms it: backoffs from the longest context on, then the probability. Rounding is
// monotone (a <= b implies round(a + x) <= round(b + x)), so a maximum taken between two additions bounds the rounded
// sums of all contexts that pass there, and is one of them. Only the last step, to float, rounds up.

WordBounds::WordBounds(const NgramModel& model) : tables_(&model.tables()) {
  std::vector<Reach> reaches(tables_->states());
  for (std::size_t s = 0; s < reaches.size(); ++s) reaches[s] = {static_cast<std::uint32_t>(s), 0.0};
  for (std::size_t s = reaches.size(); s-- > 1;) {  // shorter contexts have smaller numbers
    double& below = reaches[tables_->shorter[s]].sum;
    below = std::max(below, reaches[s].sum + tables_->backoff[s]);
  }
  raise(reaches);
}

WordBounds::WordBounds(const NgramModel& model, std::span<const NgramModel::State> contexts)
    : tables_(&model.tables()) {
  expects<ValueError>(!contexts.empty(), "WordBounds: no contexts, expected at least one");
  std::vector<Reach> heap, reaches;  // heap: largest state first, and of one state its largest sum first
  for (const NgramModel::State s : contexts) heap.push_back({static_cast<std::uint32_t>(s), 0.0});
  const auto later = [](const Reach& a, const Reach& b) {
    return a.state != b.state ? a.state < b.state : a.sum < b.sum;
  };
  std::ranges::make_heap(heap, later);
  while (!heap.empty()) {
    std::ranges::pop_heap(heap, later);
    const Reach reach = heap.back();
    heap.pop_back();
    if (!reaches.empty() && reaches.back().state == reach.state) continue;
    reaches.push_back(reach);
    if (reach.state == 0) break;  // the other entries are of state 0 too, with smaller sums
    heap.push_back({tables_->shorter[reach.state], reach.sum + tables_->backoff[reach.state]});
    std::ranges::push_heap(heap, later);
  }
  std::ranges::reverse(reaches);
  raise(reaches);
}

// reaches: ascending states, 0 first.
void WordBounds::raise(std::span<const Reach> reaches) {
  root_reach_ = reaches.front().sum;
  for (const Reach& reach : reaches.subspan(1))
    for (std::uint32_t arc = tables_->first_arc[reach.state]; arc < tables_->first_arc[reach.state + 1]; ++arc) {
      const double sum = reach.sum + tables_->arc_log_prob[arc];
      const std::uint32_t word = tables_->arc_word[arc];
      if (sum > root_reach_ + tables_->unigram[word]) raised_.emplace_back(word, float_above(sum));
    }
  std::ranges::sort(raised_, [](const auto& a, const auto& b) {
    return a.first != b.first ? a.first < b.first : a.second > b.second;  // of a word the largest first
  });
  const auto same_word = [](const auto& a, const auto& b) { return a.first == b.first; };
  raised_.erase(std::unique(raised_.begin(), raised_.end(), same_word), raised_.end());
  raised_.shrink_to_fit();
}

float WordBounds::upper(WordId word) const noexcept {
  const auto w = static_cast<std::uint32_t>(word);
  const auto at = std::ranges::lower_bound(raised_, w, {}, [](const auto& pair) { return pair.first; });
  return at != raised_.end() && at->first == w ? at->second : float_above(root_reach_ + tables_->unigram[w]);
}

Footprint WordBounds::resident() const noexcept {
  return Footprint::host(Bytes{sizeof(*this)} + bytes_of<std::pair<std::uint32_t, float>>(raised_.capacity()));
}

}  // namespace mpp::speech

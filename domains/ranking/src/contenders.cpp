#include <algorithm>
#include <functional>
#include <limits>
#include <numeric>

#include "src/contenders.hpp"

namespace mpp::ranking {
namespace {

// Keeps the k best by lower bound, best first.
void keep_best(const Pool& pool, std::size_t k, std::pmr::vector<Contender>& contenders) {
  const auto ids = pool.columns().ids.view();
  std::sort(contenders.begin(), contenders.end(), [ids](const Contender& a, const Contender& b) {
    return kernels::ranks_before({a.lower, ids[a.slot]}, {b.lower, ids[b.slot]});
  });
  if (contenders.size() > k) contenders.resize(k);
}

}  // namespace

void rescore_pilot(const Pool& pool, const RankRequest& request, std::span<const kernels::Candidate> pilot,
                   RankState& state) {
  const std::size_t dims = pool.dims();
  const auto rows = pool.columns().rows.view();
  const auto scores = std::span(state.pilot_scores).first(pilot.size());
  for (std::size_t first = 0; first < pilot.size(); first += rescored_together) {
    const std::size_t count = std::min(rescored_together, pilot.size() - first);
    for (std::size_t i = 0; i < count; ++i)
      std::copy_n(&rows[pilot[first + i].row * dims], dims, &state.pilot_rows[i * dims]);
    kernels::rescore({}, std::span<const float>(state.pilot_rows).first(count * dims), request.query, pool.metric(),
                     scores.subspan(first, count));
  }
  for (std::size_t i = 0; i < pilot.size(); ++i) state.contenders.push_back({scores[i], scores[i], pilot[i].row});
  keep_best(pool, request.k, state.contenders);
}

void bound_pilot(const Pool& pool, const RankRequest& request, std::span<const kernels::Candidate> pilot,
                 std::span<const kernels::ScoreInterval> intervals, RankState& state) {
  state.contenders.clear();
  for (std::size_t i = 0; i < pilot.size(); ++i)
    state.contenders.push_back({score_of_frame(state.frame, intervals[i].lower),
                                score_of_frame(state.frame, intervals[i].upper), pilot[i].row});
  keep_best(pool, request.k, state.contenders);
}

double threshold(const RankRequest& request, const RankState& state) {
  if (state.contenders.size() < request.k) return -std::numeric_limits<double>::infinity();
  return state.contenders.back().lower;
}

RecallCount::RecallCount(const RankRequest& request, const RankState& state)
    : asked_(request.k), k_(std::min(request.k, state.contenders.size())),
      bar_(-std::numeric_limits<float>::infinity()) {
  for (const Contender& c : state.contenders) lower_.push_back(threshold_in_frame(state.frame, c.lower));
  for (const Contender& c : state.contenders) add(-threshold_in_frame(state.frame, -c.upper));  // rounded up
}

void RecallCount::insert(float upper, std::size_t count) {
  for (std::size_t i = 0; i < std::min(count, k_ + 1); ++i) {
    highest_.push_back(upper);
    std::push_heap(highest_.begin(), highest_.end(), std::greater<>());
    if (highest_.size() <= k_ + 1) continue;
    std::pop_heap(highest_.begin(), highest_.end(), std::greater<>());
    highest_.pop_back();
  }
  if (highest_.size() == k_ + 1) bar_ = highest_.front();
}

double RecallCount::share() const {
  std::vector<float> rising = highest_;
  std::sort(rising.begin(), rising.end());
  std::size_t certain = 0;
  for (const float lower : lower_) {
    // A contender reaches itself; with k + 1 or more that reach it, k others may rank above.
    const auto reaching = rising.end() - std::lower_bound(rising.begin(), rising.end(), lower);
    certain += static_cast<std::size_t>(reaching) <= k_ ? 1 : 0;
  }
  // An answer may lack rows although there are some: those whose midpoint is not a number are not in the pilot.
  const bool lacks_rows = lower_.size() < asked_ && highest_.size() > lower_.size();
  const std::size_t wanted = lacks_rows ? asked_ : lower_.size();
  return wanted == 0 ? 1.0 : static_cast<double>(certain) / static_cast<double>(wanted);
}

Ranking answer(const Pool& pool, const RankState& state) {
  Ranking ranking;
  ranking.items.reserve(state.contenders.size());
  for (const Contender& c : state.contenders) {
    const double score = c.lower == c.upper ? c.lower : std::midpoint(c.lower, c.upper);
    ranking.items.push_back({pool.columns().ids[c.slot], score, c.lower, c.upper});
  }
  ranking.certified_recall = state.recall;
  ranking.open_rows = state.open_rows;
  return ranking;
}

}  // namespace mpp::ranking

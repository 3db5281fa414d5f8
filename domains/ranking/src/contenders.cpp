#include <algorithm>
#include <limits>

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
  for (std::size_t i = 0; i < pilot.size(); ++i)
    std::copy_n(&rows[pilot[i].row * dims], dims, &state.pilot_rows[i * dims]);
  const auto scores = std::span(state.pilot_scores).first(pilot.size());
  kernels::rescore({}, std::span<const float>(state.pilot_rows).first(pilot.size() * dims), request.query,
                   pool.metric(), scores);
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
    : k_(request.k), reaching_(state.contenders.size() + 1, 0) {
  for (const Contender& c : state.contenders) lower_.push_back(threshold_in_frame(state.frame, c.lower));
  for (const Contender& c : state.contenders)
    add(-threshold_in_frame(state.frame, -c.upper));  // rounded up
}

void RecallCount::add(float upper, std::size_t count) {
  // The row reaches all contenders from the first one that is not certainly above it.
  const auto first = std::partition_point(lower_.begin(), lower_.end(), [upper](float lower) { return lower > upper; });
  reaching_[static_cast<std::size_t>(first - lower_.begin())] += count;
}

double RecallCount::share() const {
  std::size_t reaching = 0;
  std::size_t certain = 0;
  for (std::size_t j = 0; j < lower_.size(); ++j) {
    reaching += reaching_[j];
    certain += reaching <= k_ ? 1 : 0;  // contender j reaches itself: at most k - 1 others do
  }
  // With fewer than k contenders no row has been excluded, and those that are missing count: an answer may lack rows
  // whose midpoint is not a number.
  const std::size_t wanted = std::min(k_, reaching + reaching_.back());
  return wanted == 0 ? 1.0 : static_cast<double>(certain) / static_cast<double>(wanted);
}

Ranking answer(const Pool& pool, const RankState& state) {
  Ranking ranking;
  ranking.items.reserve(state.contenders.size());
  for (const Contender& c : state.contenders) {
    const double score = c.lower == c.upper ? c.lower : c.lower + 0.5 * (c.upper - c.lower);
    ranking.items.push_back({pool.columns().ids[c.slot], score, c.lower, c.upper});
  }
  ranking.certified_recall = state.recall;
  ranking.open_rows = state.open_rows;
  return ranking;
}

}  // namespace mpp::ranking

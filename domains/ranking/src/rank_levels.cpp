// What each level makes of the codes that were brought in: intervals, threshold, and which rows stay open.
#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

#include <mpp/kernels/rescore.hpp>
#include <mpp/ranking/rank_tier.hpp>

#include "src/contenders.hpp"
#include "src/plane_intervals.hpp"

namespace mpp::ranking {
namespace {

constexpr float infinity = std::numeric_limits<float>::infinity();

void set_bit(std::span<std::uint64_t> bits, std::size_t i, bool value) {
  const std::uint64_t bit = std::uint64_t{1} << i % kernels::block_rows;
  bits[i / kernels::block_rows] = value ? bits[i / kernels::block_rows] | bit : bits[i / kernels::block_rows] & ~bit;
}

// Intervals of listed rows after a block plane.
std::vector<kernels::ScoreInterval> block_intervals(const PoolColumns& c, const RankState& state, std::size_t plane,
                                                    std::span<const std::uint32_t> slots) {
  std::vector<std::int32_t> dots(slots.size());
  for (std::size_t i = 0; i < slots.size(); ++i) dots[i] = state.dots[slots[i]];
  std::vector<kernels::ScoreInterval> intervals(slots.size(), {-infinity, infinity});
  tighten(c, state.frame, plane, slots, dots, intervals);
  return intervals;
}

// The open rows with the best midpoints from `least` on: positions in the lists of the state, not slots.
std::span<kernels::Candidate> best_open(RankState& state, float least) {
  const auto before = [](const kernels::Candidate& a, const kernels::Candidate& b) {
    return a.score > b.score || (a.score == b.score && a.row < b.row);
  };
  std::size_t n = 0;  // pilot[0, n) is a heap with its worst row in front
  for (std::size_t i = 0; i < state.open_rows; ++i) {
    const kernels::ScoreInterval s = state.interval[i];
    float mid = 0.5F * s.lower + 0.5F * s.upper;
    if (std::isnan(mid)) mid = -infinity;
    if (mid < least) continue;
    const kernels::Candidate candidate{mid, static_cast<std::uint32_t>(i)};
    const auto end = [&] { return state.pilot.begin() + static_cast<std::ptrdiff_t>(n); };
    if (n < state.pilot.size()) {
      state.pilot[n++] = candidate;
      std::push_heap(state.pilot.begin(), end(), before);
    } else if (n > 0 && before(candidate, state.pilot.front())) {
      std::pop_heap(state.pilot.begin(), end(), before);
      state.pilot[n - 1] = candidate;
      std::push_heap(state.pilot.begin(), end(), before);
    }
  }
  return std::span(state.pilot).first(n);
}

}  // namespace

Ranking RankTier::execute(const Request& request, State& state, Level level) const {
  if (level < block_planes) rank_blocks(request, state, level);
  if (level >= block_planes && level < kernels::planes) rank_codes(request, state, level);
  if (level == kernels::planes) rank_rows(request, state);
  return answer(pool_, state);
}

// Only rows whose midpoint reaches the threshold promise to raise it. An answer made of codes is made anew.
float RankTier::pilot_from(const Request& request, const State& state) const {
  return options_.rescore ? threshold_in_frame(state.frame, threshold(request, state)) : -infinity;
}

void RankTier::rank_blocks(const Request& request, State& state, std::size_t plane) const {
  const PoolColumns& c = pool_.columns();
  const kernels::ScoreFrame frame = plane_frame(state.frame, plane);
  const kernels::BlockRows rows = block_rows_of(c, state.frame, plane, state.open);
  const auto pilot =
      std::span<const kernels::Candidate>(state.pilot)
          .first(kernels::best_midpoints({}, state.dots, rows, frame, state.pilot, pilot_from(request, state)));
  if (options_.rescore) {
    rescore_pilot(pool_, request, pilot, state);
    for (const kernels::Candidate& row : pilot)
      set_bit(state.open, row.row, false);  // exact: in the answer or below it
  } else {
    std::vector<std::uint32_t> slots;
    for (const kernels::Candidate& row : pilot) slots.push_back(row.row);
    bound_pilot(pool_, request, pilot, block_intervals(c, state, plane, slots), state);
    for (const Contender& row : state.contenders) set_bit(state.open, row.slot, false);
  }
  const float bar = threshold_in_frame(state.frame, threshold(request, state));
  const kernels::Reach reach = kernels::mark_reaching({}, state.dots, rows, frame, bar, state.open);
  const double highest = score_of_frame(state.frame, reach.highest);
  state.highest_open = options_.rescore ? std::min(state.highest_open, highest) : highest;
  state.recall = recall_of_blocks(request, state, plane, reach);
  state.open_rows = reach.rows;
  if (!options_.rescore) {  // the answer itself is not exact yet: it stays on the ladder
    for (const Contender& row : state.contenders) set_bit(state.open, row.slot, true);
    state.open_rows += state.contenders.size();
  }
}

// Counts a few open rows one by one; many of them all stand at the highest upper score.
double RankTier::recall_of_blocks(const Request& request, const State& state, std::size_t plane,
                                  const kernels::Reach& reach) const {
  constexpr std::size_t few = 128;
  RecallCount recall(request, state);
  if (reach.rows > few) {
    recall.add(reach.highest, reach.rows);
    return recall.share();
  }
  std::vector<std::uint32_t> slots(reach.rows);
  kernels::compact_marked({}, state.open, slots);
  for (const kernels::ScoreInterval& interval : block_intervals(pool_.columns(), state, plane, slots))
    recall.add(std::isnan(interval.upper) ? infinity : interval.upper);
  return recall.share();
}

void RankTier::rank_codes(const Request& request, State& state, std::size_t plane) const {
  tighten(pool_.columns(), state.frame, plane, state.slot, state.dot, state.interval);
  const auto best = best_open(state, pilot_from(request, state));
  const auto positions = std::vector<kernels::Candidate>(best.begin(), best.end());
  std::vector<kernels::ScoreInterval> intervals;
  for (kernels::Candidate& row : best) {
    intervals.push_back(state.interval[row.row]);
    row.row = state.slot[row.row];
  }
  if (options_.rescore) {
    rescore_pilot(pool_, request, best, state);
    for (const kernels::Candidate& row : positions) state.interval[row.row] = {-infinity, -infinity};
  } else {
    bound_pilot(pool_, request, best, intervals, state);
  }
  keep_open(request, state);
}

// Drops the rows that cannot reach the threshold; what is left moves to the front of the lists.
void RankTier::keep_open(const Request& request, State& state) const {
  const float bar = threshold_in_frame(state.frame, threshold(request, state));
  std::vector<std::uint32_t> answered;
  if (!options_.rescore)
    for (const Contender& row : state.contenders) answered.push_back(row.slot);
  std::sort(answered.begin(), answered.end());
  float highest = -infinity;
  RecallCount recall(request, state);
  std::size_t kept = 0;
  for (std::size_t i = 0; i < state.open_rows; ++i) {
    const kernels::ScoreInterval interval = state.interval[i];
    const bool rescored = interval.upper == -infinity;
    if (rescored || interval.upper < bar) continue;
    if (!std::binary_search(answered.begin(), answered.end(), state.slot[i])) {
      highest = std::max(highest, interval.upper);
      recall.add(interval.upper);
    }
    state.slot[kept] = state.slot[i];
    state.dot[kept] = state.dot[i];
    state.interval[kept] = interval;
    ++kept;
  }
  const double highest_score = score_of_frame(state.frame, highest);
  state.slot.resize(kept);
  state.dot.resize(kept);
  state.interval.resize(kept);
  state.open_rows = kept;
  // Rescored rows never return, so the bound of the last level still holds; an answer made of codes may have let go of one.
  state.highest_open = options_.rescore ? std::min(state.highest_open, highest_score) : highest_score;
  state.recall = recall.share();
}

void RankTier::rank_rows(const Request& request, State& state) const {
  const auto ids = pool_.columns().ids.view();
  kernels::rescore({}, state.rows, request.query, pool_.metric(), state.row_scores);
  std::pmr::vector<Contender>& best = state.contenders;
  if (!options_.rescore) best.clear();  // all of them are among the open rows
  for (const Contender& row : best) state.scored.push_back({row.lower, row.slot});
  for (std::size_t i = 0; i < state.open_rows; ++i) state.scored.push_back({state.row_scores[i], state.slot[i]});
  // Ids decide ties, slots are carried along below them.
  for (kernels::Scored& row : state.scored) row.id |= std::uint64_t{ids[row.id]} << 32;
  const std::size_t kept = kernels::topk({}, state.scored, request.k);
  best.clear();
  for (const kernels::Scored& row : std::span(state.scored).first(kept))
    best.push_back({row.score, row.score, static_cast<std::uint32_t>(row.id)});
  state.highest_open = -std::numeric_limits<double>::infinity();
  state.open_rows = 0;
  state.recall = 1.0;
}

}  // namespace mpp::ranking

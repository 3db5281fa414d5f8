#pragma once
// What every level of the ranking cascade says of a query and how wrong it is: computed once, calibrated on many times.
#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <limits>
#include <memory_resource>
#include <optional>
#include <span>
#include <vector>

#include <mpp/core/guarantees/calibrated_estimator.hpp>
#include <mpp/ranking/rank_margin.hpp>
#include <mpp/ranking/synthetic.hpp>

#include "bench_json.hpp"
#include "ranking_oracle.hpp"
#include "ranking_server.hpp"

namespace mpp::bench {

/// The score gap after the first plane: how far above the best midpoint that was not rescored the k-th exact score lies,
/// as a share of what would prove the answer. In (-infinity, 1); 1 at any level: RankMargin proves epsilon. A guess.
struct GapSignal {
  Epsilon epsilon;

  HeuristicScore signal(const ranking::RankRequest& request, const ranking::RankState& state,
                        const ranking::Ranking& result, Level level) const {
    if (ranking::RankMargin().bound(request, state, result, level, {}).within(epsilon)) return {1.0};
    if (level > 0 || state.pilot.empty() || result.items.size() < request.k)
      return {std::numeric_limits<double>::quiet_NaN()};
    // Pilot rows come best first, so no other row has a midpoint above the last one. (The pool is larger than the pilot.)
    const double unseen = ranking::score_of_frame(state.frame, state.pilot.back().score);
    const double proof = state.highest_open - unseen;
    if (!(proof > 0.0)) return {std::numeric_limits<double>::quiet_NaN()};
    const double gap = result.items.back().score + epsilon.value - unseen;
    return {std::min(gap / proof, std::nextafter(1.0, 0.0))};
  }
};
static_assert(guarantees::SignalFor<GapSignal, ranking::RankTier>);

/// Score regret against the exact top k; both best first, by exact scores.
inline double score_regret(const ranking::Ranking& answer, const ranking::Ranking& exact) {
  if (answer.items.size() != exact.items.size()) return std::numeric_limits<double>::infinity();
  double regret = 0.0;
  for (std::size_t i = 0; i < exact.items.size(); ++i)
    regret = std::max(regret, exact.items[i].score - answer.items[i].score);
  return regret;
}

inline constexpr std::size_t rank_levels = kernels::planes + 1;

struct TracedQuery {
  std::array<double, rank_levels> signal{}, bound{}, regret{}, bytes{};  ///< bytes: held once the level has run

  /// Where the policy releases: at the first level whose signal reaches the threshold.
  Level released_at(double threshold) const {
    Level level = 0;
    while (level + 1 < rank_levels && !(signal[level] >= threshold)) ++level;
    return level;
  }
  /// Where the deterministic bound alone releases.
  Level proven_at(Epsilon epsilon) const {
    Level level = 0;
    while (level + 1 < rank_levels && !(bound[level] <= epsilon.value)) ++level;
    return level;
  }
};

inline TracedQuery trace(const ranking::RankTier& tier, const ranking::RankRequest& request, Epsilon epsilon) {
  TracedQuery traced;
  ranking::RankState state(std::pmr::new_delete_resource());
  std::array<ranking::Ranking, rank_levels> answers;
  double bytes = 0.0;
  for (Level level = 0; level < rank_levels; ++level) {
    traced.bytes[level] = bytes += static_cast<double>(tier.increment(request, state, level).total().count);
    tier.materialise(request, state, level);
    answers[level] = tier.execute(request, state, level);
    traced.signal[level] = GapSignal{epsilon}.signal(request, state, answers[level], level).value;
    traced.bound[level] = ranking::RankMargin().bound(request, state, answers[level], level, {}).value();
  }
  for (Level level = 0; level < rank_levels; ++level)
    traced.regret[level] = score_regret(answers[level], answers.back());
  return traced;
}

}  // namespace mpp::bench

#include <algorithm>
#include <cmath>
#include <limits>

#include <mpp/ranking/rank_margin.hpp>

namespace mpp::ranking {
namespace {

double outward(double value) { return std::nextafter(value, std::numeric_limits<double>::infinity()); }

// max(0, tau_out - tau_in), rounded up. An answer that misses rows altogether has no bound.
double regret(const RankRequest& request, const RankState& state, const Ranking& ranking) {
  constexpr double infinity = std::numeric_limits<double>::infinity();
  if (state.highest_open == -infinity) return ranking.open_rows <= ranking.items.size() ? 0.0 : infinity;
  if (ranking.items.size() < request.k) return infinity;
  const double lowest = ranking.items.back().lower;  // items are sorted by their lower bounds
  return lowest > state.highest_open ? 0.0 : outward(state.highest_open - lowest);
}

}  // namespace

ErrorBound RankMargin::bound(const RankRequest& request, const RankState& state, const Ranking& ranking, Level,
                             Delta) const {
  const double value =
      metric_ == RankMetric::score_regret ? regret(request, state, ranking) : outward(1.0 - ranking.certified_recall);
  const bool exact = metric_ == RankMetric::certified_recall && ranking.certified_recall == 1.0;
  const double rounded = exact ? 0.0 : value;
  const Delta spent = state.frame.spent_per_look;
  return spent.value > 0.0 ? ErrorBound::randomized(rounded, spent) : ErrorBound::deterministic(rounded);
}

}  // namespace mpp::ranking

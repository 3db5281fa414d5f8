#pragma once
#include <cstdint>

#include <mpp/core/control/bound.hpp>
#include <mpp/ranking/rank_tier.hpp>

namespace mpp::ranking {

/// What "error" means for a ranking, against the exact top k of the same pool.
enum class RankMetric : std::uint8_t {
  score_regret,      ///< largest difference, position by position, between the exact scores and those of the answer
  certified_recall,  ///< 1 - recall: share of the exact top k that the answer may lack
};

/// Bounds the error of a ranking from score intervals L_i <= s_i <= U_i.
///
/// Let S be the answer, tau_in = min over S of L, tau_out = max over all other rows of U. The margin is tau_in - tau_out.
/// A row that S misses scores at most tau_out and one that S holds at least tau_in, so position by position
///   score regret <= max(0, -margin),
/// both sides sorted by exact score. Answers of rescored rows come in that order; with RankOptions::rescore off an answer
/// below the exact level is the right set, sorted by its lower bounds.
/// With margin > 0 the set is exact. An item of S belongs to the top k for certain when at most k - 1 other rows have
/// U >= its L; the number of such items over k (over all rows, if there are fewer) bounds the recall from below.
///
/// Deterministic when the request's delta is 0. Otherwise the intervals of each look may fail together with probability
/// spent_per_look (Haar rotation drawn independently of the query; union over slots), and the bound says so.
/// Tested by: tests/domains/rank_margin_test.cpp
class RankMargin {
 public:
  explicit RankMargin(RankMetric metric = RankMetric::score_regret) : metric_(metric) {}

  ErrorBound bound(const RankRequest& request, const RankState& state, const Ranking& ranking, Level level,
                   Delta share) const;

 private:
  RankMetric metric_;
};

static_assert(Tier<RankTier> && StartingTier<RankTier> && BatchTier<RankTier> && EstimatorFor<RankMargin, RankTier>);

}  // namespace mpp::ranking

#pragma once
#include <span>
#include <vector>

#include <mpp/ranking/rank_tier.hpp>

namespace mpp::ranking {

/// Rescores the pilot's rows exactly and merges them into the contenders; the k best stay.
void rescore_pilot(const Pool& pool, const RankRequest& request, std::span<const kernels::Candidate> pilot,
                   RankState& state);

/// Replaces the contenders by the k pilot rows with the largest lower bounds. `intervals` are in frame units.
void bound_pilot(const Pool& pool, const RankRequest& request, std::span<const kernels::Candidate> pilot,
                 std::span<const kernels::ScoreInterval> intervals, RankState& state);

/// The k-th largest lower bound: no row of the k best scores below it. -infinity with fewer than k contenders.
[[nodiscard]] double threshold(const RankRequest& request, const RankState& state);

/// Certified recall counted from above: how many rows may rank above each contender. Works in frame units.
class RecallCount {
 public:
  RecallCount(const RankRequest& request, const RankState& state);
  /// `count` rows outside the answer have upper scores of at most `upper`.
  void add(float upper, std::size_t count = 1);
  /// How many of the k best rows (or of all, if there are fewer) the contenders certainly hold, as a share.
  [[nodiscard]] double share() const;

 private:
  std::size_t k_;
  std::vector<float> lower_;           // of the contenders, falling, rounded down
  std::vector<std::size_t> reaching_;  // differences: reaching_[j] rows reach contender j but not j - 1
};

/// The answer as it stands.
[[nodiscard]] Ranking answer(const Pool& pool, const RankState& state);

}  // namespace mpp::ranking

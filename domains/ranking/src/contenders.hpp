#pragma once
#include <span>
#include <vector>

#include <mpp/ranking/rank_tier.hpp>

namespace mpp::ranking {

/// Rows that rescore_pilot() brings in at a time.
inline constexpr std::size_t rescored_together = 16;

/// Rescores the pilot's rows exactly and merges them into the contenders; the k best stay.
void rescore_pilot(const Pool& pool, const RankRequest& request, std::span<const kernels::Candidate> pilot,
                   RankState& state);

/// Replaces the contenders by the k pilot rows with the largest lower bounds. `intervals` are in frame units.
void bound_pilot(const Pool& pool, const RankRequest& request, std::span<const kernels::Candidate> pilot,
                 std::span<const kernels::ScoreInterval> intervals, RankState& state);

/// The k-th largest lower bound: no row of the k best scores below it. -infinity with fewer than k contenders.
[[nodiscard]] double threshold(const RankRequest& request, const RankState& state);

/// Certified recall from above: an item is certain when fewer than k other rows may rank above it. Works in frame units.
class RecallCount {
 public:
  RecallCount(const RankRequest& request, const RankState& state);
  /// `count` rows outside the answer have upper scores of at most `upper`.
  void add(float upper, std::size_t count = 1) {
    if (upper > bar_) insert(upper, count);
  }
  /// How many of the k best rows (of all, if there are fewer) the contenders certainly hold, as a share. A lower bound.
  [[nodiscard]] double share() const;

 private:
  void insert(float upper, std::size_t count);

  std::size_t asked_;           // k of the request
  std::size_t k_;               // at most as many as there are contenders
  std::vector<float> lower_;    // of the contenders, rounded down
  std::vector<float> highest_;  // heap: the k + 1 largest upper scores, the smallest of them in front
  float bar_;                   // what is not above it cannot change the answer
};

/// The answer as it stands.
[[nodiscard]] Ranking answer(const Pool& pool, const RankState& state);

}  // namespace mpp::ranking

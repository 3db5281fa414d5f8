#pragma once
#include <cstddef>
#include <cstdint>
#include <memory_resource>
#include <span>
#include <vector>

#include <mpp/core/control/tier.hpp>
#include <mpp/core/memory/uninitialized.hpp>
#include <mpp/kernels/interval.hpp>
#include <mpp/kernels/topk.hpp>
#include <mpp/ranking/filter.hpp>
#include <mpp/ranking/pool.hpp>
#include <mpp/ranking/query_frame.hpp>

namespace mpp::ranking {

/// The k best rows of a pool for one query.
struct RankRequest {
  std::span<const float> query;    ///< [dims], finite; for cosine not of length zero
  std::size_t k = 10;              ///< >= 1; a pool with fewer rows returns all it has
  Delta delta{};                   ///< > 0 prunes with the randomized interval too; at most the target's delta
  const Filter* filter = nullptr;  ///< null: every live row
};

/// One row of an answer, with the interval that its score is known to lie in.
struct RankedItem {
  std::uint64_t id{};
  double score{};  ///< exact if lower == upper, else the middle of the interval; NaN if nothing is known
  double lower{}, upper{};
  friend bool operator==(const RankedItem&, const RankedItem&) = default;
};

/// An answer: at most k rows, best first (see kernels::ranks_before; by score, equal scores by smaller id).
struct Ranking {
  std::vector<RankedItem> items;
  double certified_recall = 0.0;  ///< share of the k best rows that items certainly holds; a lower bound
  std::size_t open_rows = 0;      ///< rows that could still be among the k best, beside those returned
};

/// What is known of a row that competes for the answer.
struct Contender {
  double lower{}, upper{};  ///< of the score; equal once the row has been rescored
  std::uint32_t slot{};
};

/// What a request has brought in so far. All memory comes from the reservation, except for scratch of O(k + pilot)
/// while a level runs.
struct RankState {
  explicit RankState(std::pmr::memory_resource* memory);

  QueryFrame frame;
  std::pmr::vector<std::uint64_t> open;    ///< [blocks], rows that can still enter the answer (levels 0 and 1)
  Buffer<kernels::Candidate> pilot;        ///< rows with the best midpoints
  Buffer<float> pilot_rows;                ///< [a few, dims]: they are rescored some at a time
  Buffer<double> pilot_scores;             ///< [pilot]
  std::pmr::vector<Contender> contenders;  ///< best first: the k best, and while merging the pilot

  // Rows that are still open, side by side, from level 2 on.
  Buffer<std::uint32_t> slot;
  Buffer<std::int32_t> dot;
  Buffer<kernels::ScoreInterval> interval;

  // What the current level needs and the next one replaces: they take turns in the same bytes of the reservation.
  Buffer<std::int16_t> dots;                 ///< [slots], levels 0 and 1
  Buffer<std::uint8_t> codes;                ///< [open rows][slices][coded_dims / 8], levels 2 and 3
  Buffer<float> rows;                        ///< [open rows, dims], at the exact level
  Buffer<double> row_scores;                 ///< [open rows]
  std::pmr::vector<kernels::Scored> scored;  ///< open rows and contenders
  Bytes turn_bytes;                          ///< most that they have taken so far

  std::size_t screened = 0;   ///< block planes that `dots` stand for; 0: the query has not been prepared
  std::size_t open_rows = 0;  ///< rows that the next level has to look at
  double highest_open;        ///< no row that is still open and outside the answer scores above this
  double recall = 0.0;        ///< certified recall of the answer
};

struct RankOptions {
  std::size_t pilot = 48;  ///< rows rescored exactly after each plane to raise the threshold; at least k are
  bool rescore = true;     ///< false: bounds from codes alone, no fp32 row is read before the exact level
  Level first_level = 0;   ///< where requests start: 0, 1 or 2; see pilot_first_level()
};

/// Proposes RankOptions::first_level for a pool: the first plane that excludes a tenth of the rows, measured by ranking a
/// few of the pool's own rows. A heuristic: it orders work and releases nothing.
[[nodiscard]] Level pilot_first_level(const Pool& pool);

/// Ladder: sign plane, 2-bit, 4-bit, 8-bit codes, exact rows. Threshold first: after each plane the most promising rows
/// are rescored exactly, and only rows whose upper score reaches the k-th exact score bring in the next plane.
///
/// Levels 0 and 1 work on whole blocks, which are read where they lie: of plane 1, those that hold open rows. Levels 2
/// and 3 bring in the codes of single rows; level 3 restarts the dot products with a finer query, from whole codes.
class RankTier {
 public:
  using Request = RankRequest;
  using State = RankState;
  using Result = Ranking;

  /// @throws ValueError if options.first_level is above 2
  explicit RankTier(const Pool& pool, RankOptions options = {});
  explicit RankTier(Pool&&, RankOptions = {}) = delete;  // the pool must outlive the tier

  std::size_t levels() const { return kernels::planes + 1; }
  Footprint footprint(const Request& request, Level level) const;
  Footprint increment(const Request& request, const State& state, Level level) const;
  void materialise(const Request& request, State& state, Level level) const;
  Result execute(const Request& request, State& state, Level level) const;

  /// Planes 0 and 1 for all requests in one pass over their blocks; later levels one by one.
  void materialise_batch(std::span<const BatchItem<RankTier>> items, Level level) const;

  Level first_level(const Request&) const { return options_.first_level; }

  const Pool& pool() const noexcept { return pool_; }

 private:
  std::size_t pilot_size(const Request& request) const;
  Bytes common_bytes(const Request& request) const;
  void prepare(const Request& request, State& state) const;
  Bytes turn_bytes(const Request& request, Level level, std::size_t open_rows) const;
  void screen_signs(std::span<const BatchItem<RankTier>> items) const;
  void refine_blocks(std::span<const BatchItem<RankTier>> items) const;
  void bring_in(const Request& request, State& state, Level level) const;
  void list_open(State& state) const;
  void bring_in_codes(State& state, std::size_t plane) const;
  void bring_in_rows(const Request& request, State& state) const;
  float pilot_from(const Request& request, const State& state) const;
  void rank_blocks(const Request& request, State& state, std::size_t plane) const;
  double recall_of_blocks(const Request& request, const State& state, std::size_t plane,
                          const kernels::Reach& reach) const;
  void rank_codes(const Request& request, State& state, std::size_t plane) const;
  void keep_open(const Request& request, State& state) const;
  void rank_rows(const Request& request, State& state) const;

  const Pool& pool_;
  RankOptions options_;
};

}  // namespace mpp::ranking

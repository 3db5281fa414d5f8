#pragma once
#include <algorithm>
#include <cmath>
#include <functional>
#include <memory_resource>
#include <set>
#include <string>
#include <vector>

#include <mpp/core/error.hpp>
#include <mpp/ranking/rank_tier.hpp>

#include "reference/rescore.hpp"

namespace mpp::test {

using ranking::Metric;
using ranking::Pool;

/// Scores of a pool's live rows for one request, in the order every device shares and in long double.
class ScoreOracle {
 public:
  ScoreOracle(const Pool& pool, const ranking::RankRequest& request)
      : scores_(pool.columns().slots()), exact_(scores_.size()) {
    const auto& c = pool.columns();
    std::vector<kernels::Scored> all;
    for (std::size_t slot = 0; slot < c.slots(); ++slot) {
      const std::uint64_t word =
          c.live[slot / 64] & (request.filter == nullptr ? ~0ULL : request.filter->bits()[slot / 64]);
      if ((word >> slot % 64 & 1) == 0) continue;
      const auto row = c.rows.view().subspan(slot * c.dims, c.dims);
      scores_[slot] = reference::ordered_score(row, request.query, c.metric);
      exact_[slot] = score(row, request.query, c.metric);
      all.push_back({scores_[slot], std::uint64_t{c.ids[slot]} << 32 | slot});
    }
    std::sort(all.begin(), all.end(),
              [](const auto& a, const auto& b) { return a.score != b.score ? a.score > b.score : a.id < b.id; });
    for (std::size_t i = 0; i < all.size(); ++i) {
      allowed_.push_back(static_cast<std::uint32_t>(all[i].id));
      if (i < request.k) top_.insert(allowed_.back());
    }
  }

  const std::vector<std::uint32_t>& allowed() const { return allowed_; }  ///< slots, best first
  bool in_top(std::uint32_t slot) const { return top_.contains(slot); }
  bool inside(std::uint32_t slot, double lower, double upper) const {
    return lower < exact_[slot] && exact_[slot] < upper && lower < scores_[slot] && scores_[slot] < upper;
  }
  double score(std::uint32_t slot) const { return scores_[slot]; }

 private:
  static long double score(std::span<const float> row, std::span<const float> query, Metric metric) {
    long double products = 0, rows = 0, queries = 0, distance = 0;
    for (std::size_t j = 0; j < row.size(); ++j) {
      const long double x = row[j], q = query[j];
      products += x * q;
      rows += x * x;
      queries += q * q;
      distance += (x - q) * (x - q);
    }
    if (metric == Metric::l2) return -distance;
    return metric == Metric::inner_product ? products : products / (std::sqrt(rows) * std::sqrt(queries));
  }

  std::vector<double> scores_;
  std::vector<long double> exact_;
  std::vector<std::uint32_t> allowed_;
  std::set<std::uint32_t> top_;
};

/// What a walk up the ladder found.
struct Walk {
  std::uint64_t checks = 0;      ///< intervals, closed rows and upper limits looked at
  std::uint64_t violations = 0;  ///< of them untrue
  std::uint64_t lost = 0;        ///< of the violations, rows of the answer that were closed
  std::string first;             ///< of the violations, in words

  void check(bool holds, const auto&... what) {
    ++checks;
    if (!holds && violations++ == 0) first = text(what...);
  }
  Walk& operator+=(const Walk& other) {
    checks += other.checks;
    if (violations == 0) first = other.first;
    violations += other.violations;
    lost += other.lost;
    return *this;
  }
};

/// Spoils the frame of a query after it was made.
using FrameBreakage = std::function<void(ranking::QueryFrame&)>;

/// Code levels, ascending.
using Levels = std::vector<Level>;

inline Levels levels_from(Level first) {
  Levels levels;
  for (Level level = first; level < kernels::planes; ++level) levels.push_back(level);
  return levels;
}

/// An open row and its interval, in frame units.
struct OpenRow {
  std::uint32_t slot;
  kernels::ScoreInterval interval;
};

/// The open rows after a block plane: their intervals are made here, for the tier keeps none.
inline std::vector<OpenRow> open_after_block_plane(const Pool& pool, const ranking::RankState& state,
                                                   std::size_t plane) {
  const auto& c = pool.columns();
  const ranking::BlockPlane& from = c.block_plane[plane];
  const kernels::Half sign_norm = kernels::half_above(std::sqrt(static_cast<double>(c.coded_dims)));
  constexpr float infinity = std::numeric_limits<float>::infinity();
  std::vector<OpenRow> open;
  for (std::uint32_t slot = 0; slot < c.slots(); ++slot) {
    if ((state.open[slot / 64] >> slot % 64 & 1) == 0) continue;
    const std::int32_t dot = state.dots[slot];
    const kernels::PlaneFactors factors{from.scale[slot], from.residual[slot],
                                        plane == 0 ? sign_norm : from.norm[slot]};
    const float base = state.frame.block_offset[slot / 64] + (c.bias.size() == 0 ? 0.0F : c.bias[slot]);
    open.push_back({slot, {-infinity, infinity}});
    kernels::tighten_intervals({}, std::span(&dot, 1), std::span(&factors, 1), std::span(&base, 1),
                               plane_frame(state.frame, plane), std::span(&open.back().interval, 1));
  }
  return open;
}

inline std::vector<OpenRow> open_rows(const Pool& pool, const ranking::RankState& state, Level level) {
  if (level < ranking::block_planes) return open_after_block_plane(pool, state, level);
  std::vector<OpenRow> open;
  for (std::size_t i = 0; i < state.open_rows; ++i) open.push_back({state.slot[i], state.interval[i]});
  return open;
}

/// Climbs code levels of one request by hand and checks what each of them says, whatever the target:
/// an open row's score lies strictly inside its interval and below highest_open, a contender's interval holds its score,
/// and a row that was closed is not among the k best.
inline Walk walk(const Pool& pool, const ranking::RankRequest& request, ranking::RankOptions options,
                 const FrameBreakage& breakage = {}, Levels levels = {}) {
  const ranking::RankTier tier(pool, options);
  if (levels.empty()) levels = levels_from(options.first_level);
  const ScoreOracle oracle(pool, request);
  ranking::RankState state(std::pmr::new_delete_resource());
  Walk found;
  for (const Level level : levels) {
    tier.materialise(request, state, level);
    if (breakage && level == levels.front()) breakage(state.frame);
    (void)tier.execute(request, state, level);
    std::vector<char> open(pool.columns().slots(), 0);
    std::vector<char> answered(open.size(), 0);
    for (const ranking::Contender& c : state.contenders) {
      answered[c.slot] = 1;
      const bool exact = c.lower == c.upper && c.lower == oracle.score(c.slot);
      found.check(exact || oracle.inside(c.slot, c.lower, c.upper), "level ", level, ", contender in slot ", c.slot,
                  ": ", oracle.score(c.slot), " outside ", c.lower, " ... ", c.upper);
    }
    for (const auto& [slot, interval] : open_rows(pool, state, level)) {
      open[slot] = 1;
      const double lower = score_of_frame(state.frame, interval.lower);
      const double upper = score_of_frame(state.frame, interval.upper);
      found.check(oracle.inside(slot, lower, upper), "level ", level, ", slot ", slot, ": ", oracle.score(slot),
                  " outside ", lower, " ... ", upper);
    }
    for (const std::uint32_t slot : oracle.allowed()) {
      if (answered[slot] != 0) continue;
      if (open[slot] != 0) {
        found.check(oracle.score(slot) < state.highest_open, "level ", level, ", slot ", slot, ": ", oracle.score(slot),
                    " is not below highest_open = ", state.highest_open);
      } else {
        found.check(!oracle.in_top(slot), "level ", level, ", slot ", slot, " was closed and is among the ", request.k,
                    " best");
        found.lost += oracle.in_top(slot) ? 1 : 0;
      }
    }
  }
  return found;
}

}  // namespace mpp::test

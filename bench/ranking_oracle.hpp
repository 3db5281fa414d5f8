#pragma once
// What bench_ranking checks before it times anything: exact answers and intervals, against plain double arithmetic.
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <span>
#include <vector>

#include <mpp/kernels/screen.hpp>
#include <mpp/ranking/ranker.hpp>

namespace mpp::bench {

/// Exact scores of all slots of a pool, in the order of summation that every device shares.
inline std::vector<double> exact_scores(const ranking::Pool& pool, std::span<const float> query) {
  std::vector<double> scores(pool.columns().slots());
  kernels::rescore({}, pool.columns().rows.view(), query, pool.metric(), scores);
  return scores;
}

/// The k best live rows by exact score, equal scores by smaller id.
inline std::vector<kernels::Scored> exact_top(const ranking::Pool& pool, std::span<const double> scores,
                                              std::size_t k) {
  const auto& c = pool.columns();
  std::vector<kernels::Scored> items;
  items.reserve(pool.size());
  for (std::size_t slot = 0; slot < scores.size(); ++slot)
    if ((c.live[slot / 64] >> slot % 64 & 1) != 0) items.push_back({scores[slot], c.ids[slot]});
  items.resize(kernels::topk({}, items, k));
  return items;
}

/// Whether an answer is exactly the true one: same ids, same scores, same order.
inline bool same(const ranking::Ranking& answer, std::span<const kernels::Scored> truth) {
  return std::equal(
      answer.items.begin(), answer.items.end(), truth.begin(), truth.end(),
      [](const ranking::RankedItem& a, const kernels::Scored& b) { return a.id == b.id && a.score == b.score; });
}

struct IntervalCheck {
  std::uint64_t intervals = 0, violations = 0;
};

/// Makes the interval of every live row after every plane, as a request would that excludes nothing, and counts those
/// that do not hold the exact score strictly inside.
class IntervalOracle {
 public:
  explicit IntervalOracle(const ranking::Pool& pool) : pool_(pool), columns_(pool.columns()) {
    const std::size_t groups = columns_.coded_dims / 8;
    const auto norm = kernels::half_above(std::sqrt(static_cast<double>(columns_.coded_dims)));
    for (std::size_t p = 0; p < ranking::block_planes; ++p) {
      const ranking::BlockPlane& plane = columns_.block_plane[p];
      sign_rows_[p].resize(columns_.slots() * groups);
      for (std::size_t i = 0; i < columns_.slots(); ++i) {
        factors_[p].push_back({plane.scale[i], plane.residual[i], p == 0 ? norm : plane.norm[i]});
        for (std::size_t g = 0; g < groups; ++g)
          sign_rows_[p][i * groups + g] = plane.signs[(i / 64 * groups + g) * 64 + i % 64];
      }
    }
  }

  IntervalCheck check(std::span<const float> query, Delta look, std::span<const double> scores) const {
    ranking::QueryFrame frame(std::pmr::new_delete_resource());
    ranking::make_frame(pool_, query, look, frame);
    std::vector<float> base(columns_.slots());
    for (std::size_t i = 0; i < base.size(); ++i)
      base[i] = frame.block_offset[i / 64] + (columns_.bias.size() == 0 ? 0.0F : columns_.bias[i]);
    IntervalCheck found;
    for (std::size_t plane = 0; plane < kernels::planes; ++plane) {
      const auto dots = dots_after(plane, plane + 1 < kernels::planes ? frame.coarse_code : frame.fine_code);
      constexpr float infinity = std::numeric_limits<float>::infinity();
      std::vector<kernels::ScoreInterval> intervals(base.size(), {-infinity, infinity});
      const auto factors = plane < ranking::block_planes
                               ? std::span<const kernels::PlaneFactors>(factors_[plane])
                               : columns_.row_plane[plane - ranking::block_planes].factors.view();
      kernels::tighten_intervals({}, dots, factors, base, ranking::plane_frame(frame, plane), intervals);
      count(frame, intervals, scores, found);
    }
    return found;
  }

 private:
  std::vector<std::int32_t> dots_after(std::size_t plane, std::span<const std::int16_t> code) const {
    std::vector<std::int32_t> dots(columns_.slots(), 0);
    for (std::size_t p = 0; p <= plane; ++p)
      kernels::refine_dots({},
                           p < ranking::block_planes ? std::span<const std::uint8_t>(sign_rows_[p])
                                                     : columns_.row_plane[p - ranking::block_planes].codes.view(),
                           kernels::plane_slices[p], code, dots);
    return dots;
  }

  void count(const ranking::QueryFrame& frame, std::span<const kernels::ScoreInterval> intervals,
             std::span<const double> scores, IntervalCheck& found) const {
    for (std::size_t i = 0; i < intervals.size(); ++i) {
      if ((columns_.live[i / 64] >> i % 64 & 1) == 0) continue;
      const double lower = ranking::score_of_frame(frame, intervals[i].lower);
      const double upper = ranking::score_of_frame(frame, intervals[i].upper);
      ++found.intervals;
      found.violations += lower < scores[i] && scores[i] < upper ? 0 : 1;
    }
  }

  const ranking::Pool& pool_;
  const ranking::PoolColumns& columns_;
  std::array<std::vector<std::uint8_t>, ranking::block_planes> sign_rows_;
  std::array<std::vector<kernels::PlaneFactors>, ranking::block_planes> factors_;
};

}  // namespace mpp::bench

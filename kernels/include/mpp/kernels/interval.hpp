#pragma once
#include <cstdint>
#include <limits>
#include <span>

#include <mpp/kernels/context.hpp>
#include <mpp/kernels/sign_code.hpp>

namespace mpp::kernels {

/// Everything about one query and one plane that turns an integer dot product into a score interval.
/// Made by make_frame() in the domain, in units in which the query's norm is about 1 and the largest row norm 2^13 to
/// 2^14, so that float neither overflows nor loses range. Fields marked "up" ("down") are rounded so.
///
/// For a row with factors (a, r, n) and dot product I, with t = step * I:
///   mid        = offset + bias + a t
///   half-width = r sqrt(q2 - max(0, |t| - e)^2 / n^2) + a e + a (|t| + e) relative + slack,   e = min(e1, e2 n)
/// The first term is Cauchy-Schwarz on the part of the row orthogonal to its code; the second the query's rounding;
/// the third that `a` was stored as Half; slack covers rotation, offsets and this float arithmetic.
/// With tail > 0 the randomized interval (docs/ranking.md) is intersected with the deterministic one, for
/// rows whose residual is at least 2^-14: below, Half does not hold it precisely enough.
struct ScoreFrame {
  float step{};
  float q2{};        ///< up: squared norm of the query
  float e1{};        ///< up: (2^b - 1) ||e||_1 >= |e . v|, where e is the query's rounding error and b the slices
  float e2{};        ///< up: 2-norm of the query's rounding error
  float relative{};  ///< up: 2^-11 for the stored scale, plus the float arithmetic
  float slack{};     ///< up: absolute
  float tail{};      ///< up: quantile of |X|, a coordinate of a uniform point on the unit sphere; 0: deterministic only
};

struct ScoreInterval {
  float lower{}, upper{};  ///< lower < true score < upper, strictly
};

/// PlaneFactors of rows side by side, a column each.
struct FactorColumns {
  std::span<const Half> scale, residual;
  float same_norm{};             ///< up: norm of every row where `norm` is empty: sqrt(dims) after the first slice
  std::span<const Half> norm{};  ///< [rows] or empty
};

/// Which rows of a plane in layout "blocks" count, and what is added to their scores.
struct BlockRows {
  FactorColumns factors;
  std::span<const float> block_offset;     ///< [blocks]: score of the centre that the rows of a block are coded around
  std::span<const float> bias;             ///< [rows] or empty: query-independent part of the score (L2)
  std::span<const std::uint64_t> allowed;  ///< [blocks]: bit i of word b is row 64 b + i
  std::span<const float> top_scale{};      ///< [blocks] or empty: no row of a block has a larger scale
  std::span<const float> top_residual{};   ///< [blocks] or empty: nor a larger residual
};

/// A row and a score estimate.
struct Candidate {
  float score{};
  std::uint32_t row{};
  friend bool operator==(const Candidate&, const Candidate&) = default;
};

/// The rows with the largest midpoints, best first (ties: smaller row first). Returns how many were found: min(best.size(), allowed rows),
/// fewer where midpoints are NaN, -infinity or below `least`.
/// @param dots [rows], from screen() or refine_blocks(), rows a multiple of 64    @param best  receives the result
std::size_t best_midpoints(const Context& context, std::span<const std::int16_t> dots, const BlockRows& rows,
                           const ScoreFrame& frame, std::span<Candidate> best,
                           float least = -std::numeric_limits<float>::infinity());

/// What mark_reaching() found.
struct Reach {
  std::size_t rows{};                                       ///< number of marked rows
  float highest = -std::numeric_limits<float>::infinity();  ///< largest upper score of a marked row; +inf for NaN
};

/// Marks every allowed row whose upper score reaches `threshold` (not `upper < threshold`: NaN and infinity stay).
/// A row a little below may be marked too: the CPU bounds the square root of the deterministic interval by tangents.
/// @param marked [blocks]; may be the memory of rows.allowed
Reach mark_reaching(const Context& context, std::span<const std::int16_t> dots, const BlockRows& rows,
                    const ScoreFrame& frame, float threshold, std::span<std::uint64_t> marked);

/// Row numbers of the set bits, ascending.
/// @throws ShapeError unless rows has exactly as many elements as bits are set
void compact_marked(const Context& context, std::span<const std::uint64_t> marked, std::span<std::uint32_t> rows);

/// Intersects each row's interval with the one its dot product gives after one more plane.
/// @param dots, factors, base, intervals  [n]; base is offset + bias of each row
void tighten_intervals(const Context& context, std::span<const std::int32_t> dots,
                       std::span<const PlaneFactors> factors, std::span<const float> base, const ScoreFrame& frame,
                       std::span<ScoreInterval> intervals);

}  // namespace mpp::kernels

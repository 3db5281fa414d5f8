#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "src/cpu/interval.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>
#include <vector>

#include <mpp/core/error.hpp>

#include "src/cpu/block_bars-inl.hpp"
#include "src/cpu/interval-inl.hpp"
#include "src/cpu/ops.hpp"

HWY_BEFORE_NAMESPACE();
namespace mpp::kernels::cpu::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

template <class Mask>
HWY_INLINE std::uint64_t bits_of(Mask mask) {
  std::uint64_t bits = 0;
  hn::StoreMaskBits(Floats(), mask, reinterpret_cast<std::uint8_t*>(&bits));
  return bits & ((std::uint64_t{1} << hn::Lanes(Floats())) - 1);
}

// Which rows of a block pass: bit i for row i. `test` gets the number of a vector's first row and returns its mask.
template <class Test>
HWY_INLINE std::uint64_t rows_passing(Test test) {
  std::uint64_t word = 0;
  for (std::size_t at = 0; at < block_rows; at += hn::Lanes(Floats())) word |= bits_of(test(at)) << at;
  return word;
}

inline Vector load_dots(const std::int16_t* p) {
  const hn::Rebind<std::int32_t, Floats> wide;
  const hn::Rebind<std::int16_t, Floats> narrow;
  return hn::ConvertTo(Floats(), hn::PromoteTo(wide, hn::LoadU(narrow, p)));
}

// The rows of a block as vectors.
struct Block {
  Block(std::span<const std::int16_t> all_dots, const BlockRows& rows, std::size_t block)
      : dots(all_dots.data() + block * block_rows), scales(rows.factors.scale.data() + block * block_rows),
        residuals(rows.factors.residual.data() + block * block_rows),
        bias(rows.bias.empty() ? nullptr : rows.bias.data() + block * block_rows),
        offset(hn::Set(Floats(), rows.block_offset[block])) {}

  HWY_INLINE Vector dot(std::size_t at) const { return load_dots(dots + at); }
  HWY_INLINE Vector scale(std::size_t at) const { return load_half(scales + at); }
  HWY_INLINE Vector residual(std::size_t at) const { return load_half(residuals + at); }
  // Offset of the block plus, for L2, the bias of each row.
  HWY_INLINE Vector base(std::size_t at) const {
    return bias == nullptr ? offset : hn::Add(offset, hn::LoadU(Floats(), bias + at));
  }

  const std::int16_t* dots;
  const Half* scales;
  const Half* residuals;
  const float* bias;
  Vector offset;
};

// Keeps the best of a stream: collects up to twice as many, then cuts, so that the bar rises.
class BestList {
 public:
  BestList(std::size_t capacity, float least)
      : capacity_(capacity), bar_(std::max(least, std::numeric_limits<float>::lowest())) {
    list_.reserve(2 * capacity);
  }
  /// A row below has no place in the list.
  float bar() const { return bar_; }
  /// Rows from now on come before those in the list: with equal scores they rank ahead.
  void wrap() {
    wrapped_ = true;
    if (list_.size() >= capacity_) cut();
  }
  void add(float score, std::size_t row) {
    list_.push_back({score, static_cast<std::uint32_t>(row)});
    if (list_.size() == 2 * capacity_) cut();
  }
  std::size_t write(std::span<Candidate> out) {
    std::sort(list_.begin(), list_.end(), before);
    const std::size_t n = std::min(out.size(), list_.size());
    std::copy_n(list_.begin(), n, out.begin());
    return n;
  }

 private:
  static bool before(const Candidate& a, const Candidate& b) {
    return a.score > b.score || (a.score == b.score && a.row < b.row);
  }
  void cut() {
    const auto last = list_.begin() + static_cast<std::ptrdiff_t>(capacity_);
    std::nth_element(list_.begin(), last - 1, list_.end(), before);
    list_.erase(last, list_.end());
    bar_ = list_.back().score;
    // A later row with the same score ranks behind, so only larger ones may enter.
    if (!wrapped_) bar_ = std::nextafter(bar_, std::numeric_limits<float>::infinity());
  }
  std::size_t capacity_;
  std::vector<Candidate> list_;
  float bar_;
  bool wrapped_ = false;
};

// Rare: a row of a block that enters the list.
HWY_NOINLINE void collect(const Block& block, const IntervalMaker& make, std::uint64_t rows, std::size_t first_row,
                          BestList& list) {
  HWY_ALIGN float scores[block_rows];
  for (std::size_t at = 0; at < block_rows; at += hn::Lanes(Floats()))
    hn::Store(make.mid(block.dot(at), block.base(at), block.scale(at)), Floats(), scores + at);
  for (; rows != 0; rows &= rows - 1) {
    const auto i = static_cast<std::size_t>(std::countr_zero(rows));
    list.add(scores[i], first_row + i);
  }
}

std::size_t BestMidpoints(std::span<const std::int16_t> dots, const BlockRows& rows, const ScoreFrame& frame,
                          std::span<Candidate> best, float least) {
  if (best.empty()) return 0;
  const IntervalMaker make(frame);
  BestList list(best.size(), least);
  const MidpointBars block_bars(rows, frame);
  auto bar = hn::Set(Floats(), list.bar());
  const auto visit = [&](std::size_t b) {
    const std::uint64_t allowed = rows.allowed[b];
    if (allowed == 0) return;
    const Block block(dots, rows, b);
    const std::uint64_t entering = allowed & rows_passing([&](std::size_t at) {
                                     return hn::Ge(make.mid(block.dot(at), block.base(at), block.scale(at)), bar);
                                   });
    if (entering == 0) [[likely]]
      return;
    collect(block, make, entering, b * block_rows, list);
    bar = hn::Set(Floats(), list.bar());
  };
  const auto visit_all = [&](std::size_t begin, std::size_t end) {
    std::int16_t bars[bar_run];
    std::ranges::fill(bars, no_bar);
    for (std::size_t run = begin; run < end; run += bar_run) {
      if (block_bars.known()) block_bars.write(run, list.bar(), bars);  // the bar of the list only rises
      for (std::size_t b = run; b < std::min(end, run + bar_run); ++b)
        if (!all_below(&dots[b * block_rows], bars[b - run])) visit(b);
    }
  };
  // Where offsets are largest the bar rises soonest.
  const auto offsets = rows.block_offset;
  const auto first = static_cast<std::size_t>(std::ranges::max_element(offsets) - offsets.begin());
  visit_all(first, offsets.size());
  list.wrap();
  bar = hn::Set(Floats(), list.bar());
  visit_all(0, first);
  return list.write(best);
}

// Upper scores of the deterministic interval without its square root: with c the cosine of query and code times the
// query's norm, sqrt(q2 - c^2) <= (s^2 + q2 - c^2) / (2 s) for every s > 0, equal at s^2 = q2 - c^2. Three tangents
// stay within 2 % of the root up to c^2 = 0.75 q2. Constants are rounded outward by 2^-19 or 2^-20, more than the few
// float operations can lose (docs/ranking.md counts them).
class UpperBound {
 public:
  explicit UpperBound(const ScoreFrame& frame)
      : step_(hn::Set(f_, frame.step)), e1_(hn::Set(f_, frame.e1)), e2_(hn::Set(f_, frame.e2)),
        // A query too long for a float has no tangents: every row stays open.
        slack_(hn::Set(f_, std::isinf(frame.q2) ? frame.q2 : frame.slack)),
        moved_(hn::Set(f_, static_cast<float>(double{frame.step} * frame.relative * (1.0 + 0x1p-19)))),
        inflate_(hn::Set(f_, static_cast<float>((1.0 + frame.relative) * (1.0 + 0x1p-19)))) {
    const double length = std::max(std::sqrt(double{frame.q2}), 1e-15);
    for (std::size_t i = 0; i < tangents; ++i) {
      const double s = length * touching[i];
      high_[i] = hn::Set(f_, static_cast<float>((s * s + frame.q2) / (2.0 * s) * (1.0 + 0x1p-19)));
      slope_[i] = hn::Set(f_, static_cast<float>(-(1.0 - 0x1p-19) / (2.0 * s)));
    }
  }

  // What rows of one norm share; per_norm is 1 / norm, rounded anyhow.
  struct NormTerms {
    Vector cosine_per_dot;  // down
    Vector cosine_error;    // up: the query's rounding in the cosine
    Vector coded_error;     // up: and in the score, per unit of scale
  };
  HWY_INLINE NormTerms of_norm(Vector norm, Vector per_norm) const {
    const auto query_error = hn::Min(e1_, hn::Mul(e2_, norm));
    return {hn::Mul(hn::Mul(step_, shrink_), per_norm), hn::Mul(hn::Mul(query_error, grow_), per_norm),
            hn::Mul(query_error, inflate_)};
  }

  HWY_INLINE Vector operator()(Vector dot, Vector base, Vector scale, Vector residual, const NormTerms& terms) const {
    const auto zero = hn::Zero(f_);
    const auto magnitude = hn::Abs(dot);
    const auto cosine = hn::Max(hn::MulSub(magnitude, terms.cosine_per_dot, terms.cosine_error), zero);
    const auto square = hn::Mul(cosine, cosine);
    auto spread = hn::MulAdd(square, slope_[0], high_[0]);
    for (std::size_t i = 1; i < tangents; ++i) spread = hn::Min(spread, hn::MulAdd(square, slope_[i], high_[i]));
    spread = hn::Max(spread, zero);  // 0 times an infinite residual is not a number: the row stays open
    const auto coded = hn::MulAdd(step_, dot, hn::MulAdd(magnitude, moved_, terms.coded_error));
    return hn::MulAdd(residual, spread, hn::MulAdd(scale, coded, hn::Add(base, slack_)));
  }

 private:
  static constexpr std::size_t tangents = 3;
  static constexpr double touching[tangents] = {1.0, 0.88, 0.6};  // sqrt(q2 - c^2) / sqrt(q2)
  Floats f_;
  Vector step_, e1_, e2_, slack_, moved_, inflate_, high_[tangents], slope_[tangents];
  Vector shrink_ = hn::Set(f_, 1.0F - 0x1p-20F);
  Vector grow_ = hn::Set(f_, 1.0F + 0x1p-20F);
};

// Norms of rows and their inverses.
template <bool same>
struct Norms {
  explicit Norms(const FactorColumns& factors)
      : all(hn::Set(Floats(), factors.same_norm)), per_all(hn::Set(Floats(), 1.0F / factors.same_norm)),
        rows(factors.norm.data()) {}
  HWY_INLINE Vector norm(std::size_t row) const {
    if constexpr (same) return all;
    return load_half(rows + row);
  }
  HWY_INLINE Vector per_norm(Vector norm) const {
    if constexpr (same) return per_all;
    return hn::Div(hn::Set(Floats(), 1.0F), norm);
  }
  Vector all, per_all;
  const Half* rows;
};

// The intervals themselves of the marked rows of one block: which of them reach, and the highest upper score of those.
template <bool same_norm>
HWY_NOINLINE std::uint64_t look_closer(const Block& block, std::size_t first_row, const Norms<same_norm>& norms,
                                       const IntervalMaker& make, float threshold, std::uint64_t marked,
                                       float& highest) {
  HWY_ALIGN float uppers[block_rows];
  for (std::size_t at = 0; at < block_rows; at += hn::Lanes(Floats())) {
    const auto norm = norms.norm(first_row + at);
    const auto interval =
        make(block.dot(at), block.base(at), block.scale(at), block.residual(at), norm, norms.per_norm(norm));
    hn::Store(interval.upper, Floats(), uppers + at);
  }
  std::uint64_t reaching = 0;
  for (; marked != 0; marked &= marked - 1) {
    const float upper = uppers[std::countr_zero(marked)];
    if (upper < threshold) continue;
    reaching |= marked & -marked;
    highest = std::max(highest, std::isnan(upper) ? std::numeric_limits<float>::infinity() : upper);
  }
  return reaching;
}

template <bool same_norm>
Reach mark_rows(std::span<const std::int16_t> dots, const BlockRows& rows, const ScoreFrame& frame, float threshold,
                std::span<std::uint64_t> marked) {
  const IntervalMaker make(frame);
  const UpperBound upper_bound(frame);
  const UpperBars block_bars(rows, frame);
  const Norms<same_norm> norms(rows.factors);
  const bool randomized = frame.tail > 0.0F;
  const auto bar = hn::Set(Floats(), threshold);
  Reach reach;
  const auto marked_of = [&](std::size_t b) {
    const Block block(dots, rows, b);
    const std::size_t first_row = b * block_rows;
    const auto highest = hn::Set(Floats(), reach.highest);
    std::uint64_t not_higher = 0;
    const std::uint64_t word = rows.allowed[b] & ~rows_passing([&](std::size_t at) {
                                 const auto norm = norms.norm(first_row + at);
                                 const auto upper =
                                     upper_bound(block.dot(at), block.base(at), block.scale(at), block.residual(at),
                                                 upper_bound.of_norm(norm, norms.per_norm(norm)));
                                 not_higher |= bits_of(hn::Le(upper, highest)) << at;
                                 return hn::Lt(upper, bar);
                               });
    // The interval itself is needed for the highest score, and where it may be tighter.
    if (randomized ? word == 0 : (word & ~not_higher) == 0) return word;
    return look_closer<same_norm>(block, first_row, norms, make, threshold, word, reach.highest);
  };
  std::int16_t bars[bar_run];
  std::ranges::fill(bars, no_bar);
  for (std::size_t run = 0; run < marked.size(); run += bar_run) {
    if (block_bars.known()) block_bars.write(run, threshold, bars);
    for (std::size_t b = run; b < std::min(marked.size(), run + bar_run); ++b) {
      const bool closed = rows.allowed[b] == 0 || all_below(&dots[b * block_rows], bars[b - run]);
      marked[b] = closed ? 0 : marked_of(b);
      reach.rows += static_cast<std::size_t>(std::popcount(marked[b]));
    }
  }
  return reach;
}

Reach MarkReaching(std::span<const std::int16_t> dots, const BlockRows& rows, const ScoreFrame& frame, float threshold,
                   std::span<std::uint64_t> marked) {
  return rows.factors.norm.empty() ? mark_rows<true>(dots, rows, frame, threshold, marked)
                                   : mark_rows<false>(dots, rows, frame, threshold, marked);
}

// One vector of rows: factors and intervals lie interleaved in memory.
void TightenVector(const std::int32_t* dots, const PlaneFactors* factors, const float* base, const IntervalMaker& make,
                   ScoreInterval* intervals) {
  static_assert(sizeof(PlaneFactors) == 3 * sizeof(std::uint16_t) && sizeof(ScoreInterval) == 2 * sizeof(float));
  const Floats f;
  const hn::Rebind<std::int32_t, Floats> ints;
  const hn::Rebind<std::uint16_t, Floats> words;
  const hn::Rebind<hwy::float16_t, Floats> halves;
  hn::Vec<decltype(words)> scale, residual, norm;
  hn::LoadInterleaved3(words, reinterpret_cast<const std::uint16_t*>(factors), scale, residual, norm);
  const auto wide = [&](auto half) { return widen(hn::BitCast(halves, half)); };
  const auto length = wide(norm);
  const auto made = make(hn::ConvertTo(f, hn::LoadU(ints, dots)), hn::LoadU(f, base), wide(scale), wide(residual),
                         length, hn::Div(hn::Set(f, 1.0F), length));
  auto* memory = reinterpret_cast<float*>(intervals);
  Vector lower, upper;
  hn::LoadInterleaved2(f, memory, lower, upper);
  lower = hn::IfThenElse(hn::Gt(made.lower, lower), made.lower, lower);  // a comparison with NaN is false:
  upper = hn::IfThenElse(hn::Lt(made.upper, upper), made.upper, upper);  // it never narrows
  hn::StoreInterleaved2(lower, upper, f, memory);
}

void TightenIntervals(std::span<const std::int32_t> dots, std::span<const PlaneFactors> factors,
                      std::span<const float> base, const ScoreFrame& frame, std::span<ScoreInterval> intervals) {
  const IntervalMaker make(frame);
  const std::size_t lanes = hn::Lanes(Floats());
  std::size_t i = 0;
  for (; i + lanes <= dots.size(); i += lanes) TightenVector(&dots[i], &factors[i], &base[i], make, &intervals[i]);
  const std::size_t rest = dots.size() - i;
  if (rest == 0) return;
  std::int32_t last_dots[16] = {};
  PlaneFactors last_factors[16] = {};
  float last_base[16] = {};
  ScoreInterval last_intervals[16] = {};
  std::copy_n(&dots[i], rest, last_dots);
  std::copy_n(&factors[i], rest, last_factors);
  std::copy_n(&base[i], rest, last_base);
  std::copy_n(&intervals[i], rest, last_intervals);
  TightenVector(last_dots, last_factors, last_base, make, last_intervals);
  std::copy_n(last_intervals, rest, &intervals[i]);
}

}  // namespace mpp::kernels::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace mpp::kernels::cpu {

HWY_EXPORT(BestMidpoints);
HWY_EXPORT(MarkReaching);
HWY_EXPORT(TightenIntervals);

std::size_t best_midpoints(const Context&, std::span<const std::int16_t> dots, const BlockRows& rows,
                           const ScoreFrame& frame, std::span<Candidate> best, float least) {
  return HWY_DYNAMIC_DISPATCH(BestMidpoints)(dots, rows, frame, best, least);
}

Reach mark_reaching(const Context&, std::span<const std::int16_t> dots, const BlockRows& rows, const ScoreFrame& frame,
                    float threshold, std::span<std::uint64_t> marked) {
  return HWY_DYNAMIC_DISPATCH(MarkReaching)(dots, rows, frame, threshold, marked);
}

void tighten_intervals(const Context&, std::span<const std::int32_t> dots, std::span<const PlaneFactors> factors,
                       std::span<const float> base, const ScoreFrame& frame, std::span<ScoreInterval> intervals) {
  HWY_DYNAMIC_DISPATCH(TightenIntervals)(dots, factors, base, frame, intervals);
}

void compact_marked(const Context&, std::span<const std::uint64_t> marked, std::span<std::uint32_t> rows) {
  std::size_t set = 0;
  for (const std::uint64_t word : marked) set += static_cast<std::size_t>(std::popcount(word));
  expects<ShapeError>(set == rows.size(), "compact_marked: rows has ", rows.size(), " values, but ", set,
                      " bits are set");
  std::size_t n = 0;
  for (std::size_t word = 0; word < marked.size(); ++word)
    for (std::uint64_t bits = marked[word]; bits != 0; bits &= bits - 1)
      rows[n++] = static_cast<std::uint32_t>(word * block_rows + static_cast<std::size_t>(std::countr_zero(bits)));
}

}  // namespace mpp::kernels::cpu
#endif

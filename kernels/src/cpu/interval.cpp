#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "src/cpu/interval.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include <algorithm>
#include <bit>
#include <limits>
#include <vector>

#include <mpp/core/error.hpp>

#include "src/cpu/interval-inl.hpp"
#include "src/cpu/ops.hpp"

HWY_BEFORE_NAMESPACE();
namespace mpp::kernels::cpu::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

template <class Mask>
std::uint64_t bits_of(Mask mask) {
  std::uint64_t bits = 0;
  hn::StoreMaskBits(Floats(), mask, reinterpret_cast<std::uint8_t*>(&bits));
  return bits & ((std::uint64_t{1} << hn::Lanes(Floats())) - 1);
}

inline Vector load_dots(const std::int16_t* p) {
  const hn::Rebind<std::int32_t, Floats> wide;
  const hn::Rebind<std::int16_t, Floats> narrow;
  return hn::ConvertTo(Floats(), hn::PromoteTo(wide, hn::LoadU(narrow, p)));
}

// Offset of the block plus, for L2, the bias of each row.
inline Vector load_base(const ResidentRows& rows, std::size_t row) {
  const auto offset = hn::Set(Floats(), rows.block_offset[row / block_rows]);
  return rows.bias.empty() ? offset : hn::Add(offset, hn::LoadU(Floats(), rows.bias.data() + row));
}

// Keeps the best of a stream: collects up to twice as many, then cuts, so that the bar rises.
class BestList {
 public:
  explicit BestList(std::size_t capacity) : capacity_(capacity) { list_.reserve(2 * capacity); }
  float bar() const { return bar_; }
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
    bar_ = list_.back().score;  // a later row with the same score ranks behind, so only larger ones may enter
  }
  std::size_t capacity_;
  std::vector<Candidate> list_;
  float bar_ = -std::numeric_limits<float>::infinity();
};

std::size_t BestMidpoints(std::span<const std::int16_t> dots, const ResidentRows& rows, const ScoreFrame& frame,
                          std::span<Candidate> best) {
  if (best.empty()) return 0;
  const IntervalMaker make(frame);
  const std::size_t lanes = hn::Lanes(Floats());
  BestList list(best.size());
  bool full_bar = false;
  for (std::size_t block = 0; block < rows.allowed.size(); ++block) {
    if (rows.allowed[block] == 0) continue;
    for (std::size_t at = 0; at < block_rows; at += lanes) {
      const std::size_t row = block * block_rows + at;
      const auto mid = make.mid(load_dots(&dots[row]), load_base(rows, row), load_half(&rows.factors.scale[row]));
      const auto bar = hn::Set(Floats(), list.bar());
      std::uint64_t hits = bits_of(full_bar ? hn::Gt(mid, bar) : hn::Ge(mid, bar)) & (rows.allowed[block] >> at);
      if (hits == 0) [[likely]]
        continue;
      HWY_ALIGN float scores[16];
      hn::Store(mid, Floats(), scores);
      for (; hits != 0; hits &= hits - 1) {
        const auto lane = static_cast<std::size_t>(std::countr_zero(hits));
        list.add(scores[lane], row + lane);
      }
      full_bar = full_bar || list.bar() > -std::numeric_limits<float>::infinity();
    }
  }
  return list.write(best);
}

Reach MarkReaching(std::span<const std::int16_t> dots, const ResidentRows& rows, const ScoreFrame& frame,
                   float threshold, std::span<std::uint64_t> marked) {
  const Floats f;
  const IntervalMaker make(frame);
  const auto bar = hn::Set(f, threshold);
  const auto norm = hn::Set(f, rows.factors.norm);
  const auto per_norm = hn::Set(f, 1.0F / rows.factors.norm);
  const auto infinity = hn::Set(f, std::numeric_limits<float>::infinity());
  const std::size_t lanes = hn::Lanes(f);
  auto highest = hn::Neg(infinity);
  Reach reach;
  for (std::size_t block = 0; block < marked.size(); ++block) {
    const std::uint64_t allowed = rows.allowed[block];
    std::uint64_t word = 0;
    for (std::size_t at = 0; allowed != 0 && at < block_rows; at += lanes) {
      const std::size_t row = block * block_rows + at;
      const auto interval = make(load_dots(&dots[row]), load_base(rows, row), load_half(&rows.factors.scale[row]),
                                 load_half(&rows.factors.residual[row]), norm, per_norm);
      const std::uint64_t reaching = bits_of(hn::Not(hn::Lt(interval.upper, bar))) & (allowed >> at);
      if (reaching == 0) continue;
      word |= reaching << at;
      const auto upper = hn::IfThenElse(hn::IsNaN(interval.upper), infinity, interval.upper);
      const auto counted = hn::LoadMaskBits(f, reinterpret_cast<const std::uint8_t*>(&reaching));
      highest = hn::IfThenElse(counted, hn::Max(highest, upper), highest);
    }
    marked[block] = word;
    reach.rows += static_cast<std::size_t>(std::popcount(marked[block]));
  }
  reach.highest = hn::GetLane(hn::MaxOfLanes(f, highest));
  return reach;
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
  const auto wide = [&](auto half) { return hn::PromoteTo(f, hn::BitCast(halves, half)); };
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

std::size_t best_midpoints(const Context&, std::span<const std::int16_t> dots, const ResidentRows& rows,
                           const ScoreFrame& frame, std::span<Candidate> best) {
  return HWY_DYNAMIC_DISPATCH(BestMidpoints)(dots, rows, frame, best);
}

Reach mark_reaching(const Context&, std::span<const std::int16_t> dots, const ResidentRows& rows,
                    const ScoreFrame& frame, float threshold, std::span<std::uint64_t> marked) {
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

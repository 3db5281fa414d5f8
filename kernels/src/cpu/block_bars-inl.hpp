// The least dot product with which a row of a block can matter, from what no row of the block exceeds: 64 comparisons of
// 16-bit integers then spare the block its floats. For 16 blocks at a time; included once per instruction set.
#if defined(MPP_KERNELS_CPU_BLOCK_BARS_INL) == defined(HWY_TARGET_TOGGLE)
#ifdef MPP_KERNELS_CPU_BLOCK_BARS_INL
#undef MPP_KERNELS_CPU_BLOCK_BARS_INL
#else
#define MPP_KERNELS_CPU_BLOCK_BARS_INL
#endif

#include <hwy/highway.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "src/cpu/interval-inl.hpp"

HWY_BEFORE_NAMESPACE();
namespace mpp::kernels::cpu::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

constexpr std::size_t bar_run = 16;  // blocks whose bars are found together: a multiple of the floats in a vector
constexpr std::int16_t no_bar = std::numeric_limits<std::int16_t>::min();

// True if every dot product of the block is below `bar`; never for no_bar.
HWY_INLINE bool all_below(const std::int16_t* dots, std::int16_t bar) {
  if (bar == no_bar) return false;
  const hn::CappedTag<std::int16_t, block_rows> words;
  const auto least = hn::Set(words, bar);
  auto below = hn::Lt(hn::LoadU(words, dots), least);
  for (std::size_t at = hn::Lanes(words); at < block_rows; at += hn::Lanes(words))
    below = hn::And(below, hn::Lt(hn::LoadU(words, dots + at), least));
  return hn::AllTrue(words, below);
}

// Bars of the blocks from `first` on. needed(load) is a vector of least dot products, made of what load(column) gives of
// the blocks; what is not above 0 there, a NaN included, is no bar.
template <class Needed>
HWY_INLINE void write_bars(std::size_t first, std::size_t blocks, std::int16_t* bars, const Needed& needed) {
  const Floats f;
  const hn::Rebind<std::int32_t, Floats> ints;
  const hn::Rebind<std::int16_t, Floats> words;
  const std::size_t lanes = hn::Lanes(f);
  for (std::size_t at = 0; at < bar_run && first + at < blocks; at += lanes) {
    const std::size_t here = std::min(lanes, blocks - first - at);
    const auto load = [&](std::span<const float> column) {
      if (here == lanes) return hn::LoadU(f, &column[first + at]);
      HWY_ALIGN float last[bar_run] = {};
      std::copy_n(&column[first + at], here, last);
      return hn::Load(f, last);
    };
    const auto least = needed(load);
    const auto capped =
        hn::IfThenElse(hn::Gt(least, hn::Zero(f)), hn::Min(least, hn::Set(f, 32767.0F)), hn::Set(f, float{no_bar}));
    hn::StoreU(hn::DemoteTo(words, hn::ConvertTo(ints, capped)), words, bars + at);
  }
}

// Bars for midpoints: float operations are monotone. A midpoint offset + scale step dot that rounds to `bar` or above is
// above the float before `bar`, and so above `under`: dot > (under - offset) / (scale step), up to the rounding of these
// few operations and of the product.
class MidpointBars {
 public:
  MidpointBars(const BlockRows& rows, const ScoreFrame& frame)
      : rows_(rows), step_(hn::Set(f_, frame.step)), known_(!rows.top_scale.empty() && rows.bias.empty()) {}

  bool known() const { return known_; }

  HWY_INLINE void write(std::size_t first, float bar, std::int16_t* bars) const {
    const auto under = hn::Set(f_, bar - std::fabs(bar) * 0x1p-23F - std::numeric_limits<float>::min());
    write_bars(first, rows_.block_offset.size(), bars, [&](const auto& load) {
      const auto per_dot = hn::Mul(load(rows_.top_scale), step_);
      const auto needed = hn::Div(hn::Sub(under, load(rows_.block_offset)), per_dot);
      return hn::Sub(hn::Mul(needed, hn::Set(f_, 1.0F - 0x1p-20F)), hn::Set(f_, 1.0F));
    });
  }

 private:
  const BlockRows& rows_;
  Floats f_;
  Vector step_;
  bool known_;
};

// Bars for upper scores. With a and r the largest scale and residual of the block, n the norm, x the cosine of query and
// code times the query's norm, A = a n (1 + relative) and C = offset + 2 a e (1 + relative) + slack, no upper score
// exceeds C + A x + r sqrt(q2 - x^2), nor, for a negative dot product, the value of that at x = 0. It first reaches the
// threshold at
//   x = sqrt(q2) (eta sin(phi) - sqrt(1 - eta^2) cos(phi)),   eta = (threshold - C) / (sqrt(q2) hypot(A, r)),
// phi the angle of (r, A); for eta >= 1 nowhere. docs/ranking.md derives it and counts the roundings.
class UpperBars {
 public:
  UpperBars(const BlockRows& rows, const ScoreFrame& frame) : rows_(rows) {
    const double norm = rows.factors.same_norm;
    const double grow = (1.0 + frame.relative) * (1.0 + 0x1p-20);
    const double query_error = std::min(double{frame.e1}, double{frame.e2} * norm);
    const double length = std::sqrt(double{frame.q2});
    known_ = !rows.top_scale.empty() && !rows.top_residual.empty() && rows.bias.empty() && rows.factors.norm.empty() &&
             frame.step > 0.0F && std::isfinite(length);
    along_ = hn::Set(f_, static_cast<float>(norm * grow));
    coded_error_ = hn::Set(f_, static_cast<float>(2.0 * query_error * grow));
    slack_ = hn::Set(f_, frame.slack);
    per_length_ = hn::Set(f_, static_cast<float>(std::min((1.0 - 0x1p-19) / length, 1e38)));
    dots_ = hn::Set(f_, static_cast<float>(std::min(norm * length / frame.step * (1.0 - 0x1p-20), 1e38)));
  }

  bool known() const { return known_; }

  HWY_INLINE void write(std::size_t first, float threshold, std::int16_t* bars) const {
    const auto one = hn::Set(f_, 1.0F);
    const auto bar = hn::Set(f_, threshold);
    write_bars(first, rows_.block_offset.size(), bars, [&](const auto& load) {
      const auto scale = load(rows_.top_scale);
      const auto across = load(rows_.top_residual);
      const auto offset = load(rows_.block_offset);
      const auto along = hn::Mul(scale, along_);
      const auto fixed = hn::Add(hn::Mul(scale, coded_error_), slack_);
      const auto terms = hn::Add(hn::Add(hn::Abs(bar), hn::Abs(offset)), fixed);
      const auto need = hn::Sub(hn::Sub(bar, hn::Add(offset, fixed)), hn::Mul(terms, hn::Set(f_, 0x1p-20F)));
      const auto per_both = hn::Div(one, hn::Sqrt(hn::Add(hn::Mul(along, along), hn::Mul(across, across))));
      const auto eta = hn::Mul(hn::Mul(need, per_length_), per_both);
      const auto left = hn::Max(hn::Mul(hn::Sub(one, eta), hn::Add(one, eta)), hn::Zero(f_));
      const auto cosine =
          hn::Sub(hn::Mul(eta, hn::Mul(along, per_both)), hn::Mul(hn::Sqrt(left), hn::Mul(across, per_both)));
      const auto reaching = hn::IfThenElse(hn::Ge(eta, one), one, cosine);
      return hn::Mul(hn::Sub(reaching, hn::Set(f_, 0x1p-16F)), dots_);
    });
  }

 private:
  const BlockRows& rows_;
  Floats f_;
  Vector along_, coded_error_, slack_, per_length_, dots_;
  bool known_ = false;
};

}  // namespace mpp::kernels::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();
#endif

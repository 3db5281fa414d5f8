// Score intervals on vectors of float: included once per instruction set.
#if defined(MPP_KERNELS_CPU_INTERVAL_INL) == defined(HWY_TARGET_TOGGLE)
#ifdef MPP_KERNELS_CPU_INTERVAL_INL
#undef MPP_KERNELS_CPU_INTERVAL_INL
#else
#define MPP_KERNELS_CPU_INTERVAL_INL
#endif

#include <hwy/highway.h>

#include <limits>

#include <mpp/kernels/interval.hpp>

HWY_BEFORE_NAMESPACE();
namespace mpp::kernels::cpu::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

// At most 16 rows at a time, so that a mask is at most 16 bits.
using Floats = hn::CappedTag<float, 16>;
using Vector = hn::Vec<Floats>;

struct Interval {
  Vector mid, lower, upper;
};

// Without instructions for halves, Highway takes the exponent of infinity for that of 2^16, which no Half reaches.
HWY_INLINE Vector widen(hn::Vec<hn::Rebind<hwy::float16_t, Floats>> halves) {
  const Floats f;
  const auto value = hn::PromoteTo(f, halves);
  constexpr bool native = HWY_ARCH_X86 != 0 && HWY_TARGET <= HWY_AVX2;  // better targets have smaller numbers
  if constexpr (native) return value;
  const auto infinity = hn::Set(f, std::numeric_limits<float>::infinity());
  return hn::IfThenElse(hn::Ge(value, hn::Set(f, 0x1p16F)), infinity, value);  // keeps NaN of other emulations
}

inline Vector load_half(const Half* p) {
  const hn::Rebind<hwy::float16_t, Floats> h;
  return widen(hn::LoadU(h, reinterpret_cast<const hwy::float16_t*>(p)));
}

// The formula of ScoreFrame, term by term. Each float operation errs by at most 2^-24 relative; `inflate` covers the
// up to 8 operations of a half-width, frame.relative and frame.slack those of the midpoint. The square of the
// projection is shrunk before it is subtracted, because there an error would grow.
class IntervalMaker {
 public:
  explicit IntervalMaker(const ScoreFrame& frame)
      : step_(hn::Set(f_, frame.step)), q2_(hn::Set(f_, frame.q2)), e1_(hn::Set(f_, frame.e1)),
        e2_(hn::Set(f_, frame.e2)), relative_(hn::Set(f_, frame.relative)), slack_(hn::Set(f_, frame.slack)),
        tail_(hn::Set(f_, frame.tail)), randomized_(frame.tail > 0.0F) {}

  Vector mid(Vector dot, Vector base, Vector scale) const { return hn::Add(base, hn::Mul(scale, hn::Mul(step_, dot))); }

  // scale, residual, norm as in PlaneFactors; per_norm is 1 / norm, rounded anyhow.
  HWY_INLINE Interval operator()(Vector dot, Vector base, Vector scale, Vector residual, Vector norm,
                                 Vector per_norm) const {
    const auto zero = hn::Zero(f_);
    const auto t = hn::Mul(step_, dot);
    const auto m = hn::Mul(scale, t);
    const auto query_error = hn::Min(e1_, hn::Mul(e2_, norm));
    const auto cosine = hn::Mul(hn::Max(zero, hn::Sub(hn::Mul(hn::Abs(t), shrink_), query_error)), per_norm);
    const auto orthogonal = hn::Sub(q2_, hn::Mul(hn::Mul(cosine, cosine), shrink_));
    const auto spread = hn::Sqrt(hn::IfThenElse(hn::Lt(orthogonal, zero), zero, orthogonal));  // keeps NaN
    // The exact least-squares scale is up to 1 + 2^-11 times the stored one, for the query's rounding as for the rest.
    const auto query_part = hn::Mul(scale, query_error);
    const auto coded = hn::Add(query_part, hn::Mul(hn::Add(hn::Abs(m), query_part), relative_));
    const auto half_width = hn::Add(hn::Mul(hn::Add(hn::Mul(residual, spread), coded), inflate_), slack_);
    const auto mid = hn::Add(base, m);
    Interval out{mid, hn::Sub(mid, half_width), hn::Add(mid, half_width)};
    if (randomized_) intersect(randomized(base, m, scale, residual, norm, coded), out);
    return out;
  }

 private:
  // The row's direction o and its code's direction v / ||v|| enclose an angle with cosine rho, so that
  // 1 / rho^2 = 1 + r^2 / (a n)^2, and q.y = (q.xhat) / rho^2 -+ (r / rho) ||q orthogonal to o|| |X|.
  // The stored factors err by 2^-11 (a), 2^-10 (r) and 2^-10 (n): r^2 / (a n)^2 errs by less than 2^-7 of itself.
  // That needs r in the normal range of Half: below it the deterministic interval stands alone.
  HWY_INLINE Interval randomized(Vector base, Vector m, Vector scale, Vector residual, Vector norm,
                                 Vector coded) const {
    const auto one = hn::Set(f_, 1.0F);
    const auto code_norm = hn::Mul(scale, norm);
    const auto ratio = hn::Div(residual, code_norm);
    const auto excess = hn::Mul(ratio, ratio);
    const auto widen = hn::Add(one, hn::Mul(excess, hn::Set(f_, 1.0F + 0x1p-7F)));
    const auto center = hn::Mul(m, hn::Add(one, excess));
    const auto moved = hn::Mul(hn::Abs(m), hn::Mul(excess, hn::Set(f_, 0x1p-7F)));
    const auto fixed = hn::Mul(hn::Add(moved, hn::Mul(coded, widen)), inflate_);
    // r / rho <= r sqrt(widen); the query's part orthogonal to the row is at most the whole query.
    const auto spread = hn::Mul(hn::Mul(residual, hn::Sqrt(hn::Mul(widen, q2_))), tail_);
    const auto known = hn::Ge(residual, hn::Set(f_, 0x1p-14F));
    const auto half_width = hn::IfThenElse(known, hn::Add(hn::Add(fixed, hn::Mul(spread, inflate_)), slack_),
                                           hn::Set(f_, std::numeric_limits<float>::infinity()));
    const auto mid = hn::Add(base, center);
    return {mid, hn::Sub(mid, half_width), hn::Add(mid, half_width)};
  }

  // Comparisons with NaN are false, so a term that is not a number never narrows.
  static HWY_INLINE void intersect(const Interval& other, Interval& out) {
    out.lower = hn::IfThenElse(hn::Gt(other.lower, out.lower), other.lower, out.lower);
    out.upper = hn::IfThenElse(hn::Lt(other.upper, out.upper), other.upper, out.upper);
  }

  Floats f_;
  Vector step_, q2_, e1_, e2_, relative_, slack_, tail_;
  bool randomized_;
  Vector inflate_ = hn::Set(f_, 1.0F + 0x1p-20F);
  Vector shrink_ = hn::Set(f_, 1.0F - 0x1p-20F);
};

}  // namespace mpp::kernels::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();
#endif

// mark_reaching() bounds the root of the interval from above by tangents. No row may be lost by it, and few gained.
#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <random>

#include <mpp/core/error.hpp>

#include "kernels/interval_scene.hpp"

namespace mpp::kernels {
namespace {

constexpr float inf = std::numeric_limits<float>::infinity();
constexpr std::size_t blocks = 2;
constexpr std::size_t n = blocks * block_rows;

/// Factors and sums of rows, without the rows: mark_reaching() cannot know whether they belong to any.
struct Rows {
  std::vector<std::int16_t> dots;
  std::vector<Half> scale, residual, norm;  ///< norm: empty, or of each row
  float same_norm = 0.0F;
  std::vector<float> offset, bias;
  std::vector<std::uint64_t> allowed = std::vector<std::uint64_t>(blocks, ~0ULL);
  ScoreFrame frame;
  ScoreFrame needed;  ///< without what `relative` and `slack` of `frame` hold for float arithmetic

  std::vector<float> top_scale, top_residual;  ///< empty, or of each block

  BlockRows view() const {
    return {{scale, residual, same_norm, norm}, offset, bias, allowed, top_scale, top_residual};
  }

  /// The formula of ScoreFrame in long double.
  long double upper(const ScoreFrame& f, std::size_t i) const { return reference::interval(dots, view(), f, i).upper; }
  /// Square of the cosine that the formula uses, times q2.
  long double square(std::size_t i) const {
    const long double norm_i = reference::norm_of(view(), i), e = std::min<long double>(frame.e1, frame.e2 * norm_i);
    const long double cosine = std::max(0.0L, std::fabs(static_cast<long double>(frame.step) * dots[i]) - e) / norm_i;
    return cosine * cosine;
  }
  /// What the root adds to the upper score, and the most that it may add.
  long double width(std::size_t i) const { return most(i) * std::sqrt(std::max(0.0L, 1.0L - square(i) / frame.q2)); }
  long double most(std::size_t i) const {
    return reference::half_value(residual[i]) * std::sqrt(static_cast<long double>(frame.q2));
  }
  /// Of the terms of an upper score, for the rounding of their sum.
  long double magnitude(std::size_t i) const {
    const long double dot = std::fabs(static_cast<long double>(frame.step) * dots[i]);
    return std::fabs(reference::base_of(view(), i)) + reference::half_value(scale[i]) * dot + most(i) + frame.slack;
  }
};

/// Rows around everything that can go wrong: cosines from 0 to beyond the query's norm, tiny and huge queries, residuals
/// from 0 to infinity, norms that are equal or not.
Rows hard_rows(unsigned seed) {
  std::mt19937 random(seed);
  const auto pick = [&]<class T>(std::initializer_list<T> values) { return values.begin()[random() % values.size()]; };
  const auto share = [&] { return static_cast<double>(random()) * 0x1p-32; };
  Rows rows;
  const double q = pick({1.0, 1.0, 1.0, 0.7, 1e-14, 1e-6, 1e3, 1e9});  // norm of the query
  const double norm = std::exp2(1.5 + 13.0 * share());
  const bool own_norms = seed % 2 == 1;
  const double step = q * norm / std::exp2(4 + 11 * share());
  rows.same_norm = static_cast<float>(norm);
  rows.frame = {.step = static_cast<float>(step),
                .q2 = float_above(q * q),
                .e1 = static_cast<float>(pick({0.0, 0.3, 30.0, 3000.0}) * step),
                .e2 = static_cast<float>(pick({0.0, 0.01, 0.3}) * step),
                .relative = float_above(0x1p-11 * (1.0 + 0x1p-10)),
                .slack = static_cast<float>(pick({1e-30, 1e-9, 1e-3}) * q),
                .tail = 0.0F};
  const double base = q * pick({0.0, 1e-3, 1.0, 100.0});
  double largest = 0.0;
  for (std::size_t b = 0; b < blocks; ++b) rows.offset.push_back(static_cast<float>(base * (share() - 0.5)));
  if (seed % 3 == 0)
    for (std::size_t i = 0; i < n; ++i) rows.bias.push_back(static_cast<float>(base * (share() - 0.5)));
  for (std::size_t i = 0; i < n; ++i) {
    const double norm_i = own_norms ? norm * std::exp2(share() - 0.5) : norm;
    if (own_norms) rows.norm.push_back(half_above(norm_i));
    const double cosine = share() < 0.5 ? share() : pick({0.0, 0.7, 0.865, 0.894, 0.9999, 1.0, 1.0001, 1.3, 40.0});
    const double dot = std::clamp(cosine * q * norm_i / step, 0.0, 32767.0);
    rows.dots.push_back(static_cast<std::int16_t>(random() % 2 == 0 ? dot : -dot));
    const double size = std::exp2(-10 + 20 * share());
    rows.scale.push_back(nearest_half(pick({0.0, 1e-3, 1.0, 1.0, 1.0}) * size / norm_i));
    rows.residual.push_back(pick({0, 1, 2}) == 0 ? pick({Half{}, Half{1}, Half{0x3C00}, Half{0x7BFF}, Half{0x7C00}})
                                                 : half_above(size * share()));
    largest = std::max(largest, std::fabs(static_cast<double>(reference::base_of(rows.view(), i))));
  }
  for (std::size_t b = 0; b < blocks; ++b) {
    const auto top = [&](const std::vector<Half>& factor) {
      float most = 0.0F;
      for (std::size_t i = b * block_rows; i < (b + 1) * block_rows; ++i) most = std::max(most, to_float(factor[i]));
      return most;
    };
    rows.top_scale.push_back(top(rows.scale));
    rows.top_residual.push_back(top(rows.residual));
  }
  rows.needed = rows.frame;
  // As in make_frame(): 16 roundings of the scaled sum and of the base.
  rows.frame.relative = float_above(reference::Quad{rows.needed.relative} + 0x1p-20);
  rows.frame.slack = float_above((reference::Quad{rows.needed.slack} + 0x1p-20 * largest) * (1 + 0x1p-20));
  return rows;
}

struct Marked {
  std::vector<std::uint64_t> words;
  float highest = inf;
  bool has(std::size_t i) const { return (words[i / block_rows] >> i % block_rows & 1U) != 0; }
};

Marked mark(const Context& context, const Rows& rows, const ScoreFrame& frame, float threshold) {
  const DeviceArray<std::int16_t> dots(context, std::span<const std::int16_t>(rows.dots));
  const DeviceArray<Half> scale(context, std::span<const Half>(rows.scale));
  const DeviceArray<Half> residual(context, std::span<const Half>(rows.residual));
  const DeviceArray<Half> norm(context, std::span<const Half>(rows.norm));
  const DeviceArray<float> offset(context, std::span<const float>(rows.offset));
  const DeviceArray<float> bias(context, std::span<const float>(rows.bias));
  const DeviceArray<float> top_scale(context, std::span<const float>(rows.top_scale));
  const DeviceArray<float> top_residual(context, std::span<const float>(rows.top_residual));
  DeviceArray<std::uint64_t> words(context, std::span<const std::uint64_t>(rows.allowed));  // marked in place
  const BlockRows view{{scale.span(), residual.span(), rows.same_norm, norm.span()},
                       offset.span(),
                       bias.span(),
                       words.span(),
                       top_scale.span(),
                       top_residual.span()};
  const Reach reach = mark_reaching(context, dots.span(), view, frame, threshold, words.span());
  return {words.to_host(), reach.highest};
}

struct Tally {
  std::size_t lost =
      0;  ///< rows whose upper score reaches a threshold and that were not marked, or stand above `highest`
  std::size_t gained = 0;  ///< marked rows that are not even within 2 % of the root
  std::size_t marked = 0;
  std::string first;
};

/// Marks at the upper score of every row, and counts. marking(rows, threshold) -> Marked
template <class Marking>
Tally tally(const Marking& marking, unsigned frames, Rows (*make)(unsigned) = hard_rows) {
  Tally found;
  const auto count = [&](std::size_t& what, unsigned seed, std::size_t row, const char* name) {
    if (what++ == 0) found.first += text(name, ": frame ", seed, ", row ", row, "; ");
  };
  for (unsigned seed = 0; seed < frames; ++seed) {
    const Rows rows = make(seed);
    for (std::size_t at = 0; at < n; ++at) {
      const long double exact = rows.upper(rows.needed, at);
      const float threshold = exact > std::numeric_limits<float>::max() ? inf : float_below(exact);
      const Marked marked = marking(rows, threshold);
      for (std::size_t i = 0; i < n; ++i) {
        const long double upper = rows.upper(rows.needed, i);
        if (!marked.has(i)) {
          if (!(upper < threshold)) count(found.lost, seed, i, "lost");
          continue;
        }
        ++found.marked;
        if (!std::isinf(marked.highest) && !(marked.highest >= upper)) count(found.lost, seed, i, "above the highest");
        const bool near = rows.square(i) <= 0.75L * rows.frame.q2;
        const long double allowed = rows.upper(rows.frame, i) + (near ? 0.02L * rows.width(i) : 0.3L * rows.most(i));
        if (allowed + 0x1p-18L * rows.magnitude(i) < threshold) count(found.gained, seed, i, "gained");
      }
    }
  }
  return found;
}

/// Rows of much the same factors, as the blocks of a pool hold them: there bounds for the whole block decide.
Rows even_rows(unsigned seed) {
  Rows rows = hard_rows(6 * seed + 2);  // one norm for all, no bias
  std::mt19937 random(seed);
  for (std::size_t b = 0; b < blocks; ++b) {
    const std::size_t first = b * block_rows + random() % block_rows;
    const double length = std::sqrt(double{rows.frame.q2}) * rows.same_norm / rows.frame.step;
    const double most = std::min(length * static_cast<double>(random()) * 0x1p-32, 32767.0);
    for (std::size_t i = b * block_rows; i < (b + 1) * block_rows; ++i) {
      rows.scale[i] = rows.scale[first];
      rows.residual[i] = rows.residual[first];
      const double dot = most * static_cast<double>(random()) * 0x1p-32;
      rows.dots[i] = static_cast<std::int16_t>(random() % 4 == 0 ? -dot : dot);
    }
    rows.top_scale[b] = to_float(rows.scale[first]);
    rows.top_residual[b] = to_float(rows.residual[first]);
  }
  return rows;
}

/// The formula of the CPU, once more, with its constants in the hands of the test.
struct Tangents {
  double high = 1.0 + 0x1p-19;   ///< outward factor of the tangents' heights
  double slope = 1.0 - 0x1p-19;  ///< and of their slopes
  double cosine = 1.0 - 0x1p-20;

  float upper(const Rows& rows, std::size_t i) const {
    const ScoreFrame& f = rows.frame;
    const float norm = static_cast<float>(reference::norm_of(rows.view(), i));
    const auto query_error = std::min(f.e1, f.e2 * norm);
    const float magnitude = std::fabs(static_cast<float>(rows.dots[i]));
    const float moved = static_cast<float>(double{f.step} * f.relative * (1.0 + 0x1p-19));
    const float coded_error = query_error * static_cast<float>((1.0 + f.relative) * (1.0 + 0x1p-19));
    const float projection = magnitude * (f.step * static_cast<float>(cosine) * (1.0F / norm)) -
                             query_error * (1.0F + 0x1p-20F) * (1.0F / norm);
    const float square = projection > 0.0F ? projection * projection : 0.0F;
    const double length = std::max(std::sqrt(double{f.q2}), 1e-15);
    float spread = inf;
    for (const double touching : {1.0, 0.88, 0.6}) {
      const double s = length * touching;
      spread = std::min(spread, square * static_cast<float>(-slope / (2.0 * s)) +
                                    static_cast<float>((s * s + f.q2) / (2.0 * s) * high));
    }
    const float coded = f.step * static_cast<float>(rows.dots[i]) + (magnitude * moved + coded_error);
    const auto base = static_cast<float>(reference::base_of(rows.view(), i));
    const float scale = to_float(rows.scale[i]), residual = to_float(rows.residual[i]);
    return residual * std::max(spread, 0.0F) + (scale * coded + (base + f.slack));
  }
  Marked operator()(const Rows& rows, float threshold) const {
    Marked marked{std::vector<std::uint64_t>(blocks, 0), inf};
    for (std::size_t i = 0; i < n; ++i)
      if (!(upper(rows, i) < threshold)) marked.words[i / block_rows] |= std::uint64_t{1} << i % block_rows;
    return marked;
  }
};

constexpr unsigned frames = 60;

class UpperBoundTest : public KernelTest {
 protected:
  static Tally found(double q2 = 1.0) {
    return tally(
        [&](const Rows& rows, float threshold) {
          ScoreFrame frame = rows.frame;
          frame.q2 = static_cast<float>(frame.q2 * q2);
          return mark(context(), rows, frame, threshold);
        },
        frames);
  }
};
MPP_ON_ALL_DEVICES(UpperBoundTest);

TEST_P(UpperBoundTest, LosesNoRowAndGainsOnlyRowsWithin2PercentOfTheRoot) {
  const Tally all = found();
  EXPECT_EQ(all.lost, 0U) << all.first;
  EXPECT_EQ(all.gained, 0U) << all.first;
  EXPECT_GT(all.marked, frames * n * n / 8);
}

TEST_P(UpperBoundTest, TheTestAboveCatchesAQueryThatIsTooShortOrTooLong) {
  EXPECT_GT(found(1.0 - 0x1p-12).lost, 0U);
  EXPECT_GT(found(1.1).gained, 0U);
}

TEST(UpperBound, TheTestAboveCatchesTangentsThatAreUnderstated) {
  EXPECT_EQ(tally(Tangents{}, frames).lost, 0U) << tally(Tangents{}, frames).first;
  EXPECT_EQ(tally(Tangents{}, frames).gained, 0U);
  EXPECT_GT(tally(Tangents{.high = 1.0 - 0x1p-19}, frames).lost, 0U);
  EXPECT_GT(tally(Tangents{.slope = 1.0 + 0x1p-12}, frames).lost, 0U);
  EXPECT_GT(tally(Tangents{.cosine = 1.0 + 0x1p-12}, frames).lost, 0U);
  EXPECT_GT(tally(Tangents{.high = 1.1}, frames).gained, 0U);
}

TEST_P(UpperBoundTest, LosesNoRowOfABlockWhoseTopsDecide) {
  const auto marking = [](const Rows& rows, float threshold) { return mark(context(), rows, rows.frame, threshold); };
  const Tally all = tally(marking, frames, even_rows);
  EXPECT_EQ(all.lost, 0U) << all.first;
  EXPECT_GT(all.marked, frames * n);
}

// Also shows that tops are looked at: only the CPU does it.
TEST(UpperBound, TheTestAboveCatchesTopsThatAreTooSmall) {
  const auto lost = [](const std::function<void(Rows&)>& breaks) {
    const auto marking = [&](const Rows& rows, float threshold) {
      Rows broken = rows;
      breaks(broken);
      return mark({}, broken, broken.frame, threshold);
    };
    return tally(marking, frames, even_rows).lost;
  };
  const auto shrink = [](std::vector<float>& tops, float by) {
    for (float& top : tops) top *= 1.0F - by;
  };
  EXPECT_EQ(lost([](Rows&) {}), 0U);
  for (const float by : {0x1p-6F, 0x1p-11F}) {  // the second one: a Half rounded down instead of up
    EXPECT_GT(lost([&](Rows& r) { shrink(r.top_scale, by); }), 0U) << by;
    EXPECT_GT(lost([&](Rows& r) { shrink(r.top_residual, by); }), 0U) << by;
  }
  EXPECT_GT(lost([](Rows& r) { std::ranges::reverse(r.top_scale); }), 0U);  // of the other block
  EXPECT_GT(lost([](Rows& r) { std::ranges::reverse(r.top_residual); }), 0U);
}

TEST_P(UpperBoundTest, GainsNothingFromTopsThatAreTooLargeAndNotANumber) {
  for (unsigned seed = 0; seed < frames; ++seed) {
    const Rows rows = hard_rows(seed);
    Rows without = rows;
    without.top_scale.clear();
    without.top_residual.clear();
    for (const float top : {0.0F, 1e9F, inf, std::numeric_limits<float>::quiet_NaN()}) {
      Rows larger = rows;
      for (float& scale : larger.top_scale) scale = std::isnan(top) ? top : scale + top;
      for (float& residual : larger.top_residual) residual = std::isnan(top) ? top : residual + top;
      for (std::size_t at = 0; at < n; at += 7) {
        const long double exact = rows.upper(rows.frame, at);
        const float threshold = exact > std::numeric_limits<float>::max() ? inf : static_cast<float>(exact);
        const Marked with = mark(context(), larger, rows.frame, threshold);
        const Marked plain = mark(context(), without, rows.frame, threshold);
        for (std::size_t i = 0; i < n; ++i)
          EXPECT_TRUE(with.has(i) == plain.has(i) || (!with.has(i) && rows.upper(rows.needed, i) < threshold)) << i;
        EXPECT_EQ(with.highest, plain.highest);
      }
    }
  }
}

TEST_P(UpperBoundTest, IsTheSameForOneNormAndForAColumnOfIt) {
  Rows rows = hard_rows(2);
  rows.same_norm = 24.0F;
  Rows column = rows;
  column.same_norm = 0.0F;
  column.norm.assign(n, nearest_half(24.0));
  for (std::size_t at = 0; at < n; ++at) {
    const auto threshold = static_cast<float>(rows.upper(rows.frame, at));
    const Marked one = mark(context(), rows, rows.frame, threshold);
    const Marked each = mark(context(), column, rows.frame, threshold);
    EXPECT_EQ(one.words, each.words);
    EXPECT_EQ(one.highest, each.highest);
  }
}

TEST_P(UpperBoundTest, ReportsTheHighestScoreOfTheIntervalNotOfTheTangents) {
  for (unsigned seed = 0; seed < frames; ++seed) {
    Rows rows = hard_rows(seed);
    for (Half& r : rows.residual)
      if (r.bits == 0x7C00) r = {};
    const Marked all = mark(context(), rows, rows.frame, -inf);
    long double highest = -HUGE_VALL, allowance = 0;
    for (std::size_t i = 0; i < n; ++i) {
      const long double upper = rows.upper(rows.frame, i), length = std::sqrt(static_cast<long double>(rows.frame.q2));
      highest = std::max(highest, upper);
      // 2^-20 of q2 under the root moves it by at most 2^-10.
      allowance = std::max(allowance, reference::half_value(rows.residual[i]) * length * 0x1p-9L);
      allowance = std::max(allowance, std::fabs(upper) * 0x1p-18L);
    }
    EXPECT_LE(static_cast<long double>(all.highest), highest + 2 * allowance) << seed;
  }
}

TEST_P(UpperBoundTest, KeepsEveryRowOfAQueryWhoseNormIsNotKnown) {
  Rows rows = hard_rows(4);
  rows.residual.assign(n, nearest_half(1.0));
  rows.frame.q2 = inf;
  const Marked marked = mark(context(), rows, rows.frame, 1e30F);
  EXPECT_EQ(marked.words, rows.allowed);
  EXPECT_EQ(marked.highest, inf);
}

}  // namespace
}  // namespace mpp::kernels

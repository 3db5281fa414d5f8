#include <algorithm>
#include <cmath>
#include <limits>

#include <mpp/core/error.hpp>
#include <mpp/speech/ctc_score.hpp>
#include <mpp/speech/rounding.hpp>

namespace mpp::speech {
namespace {

constexpr double minus_infinity = -std::numeric_limits<double>::infinity();

void check(const Emissions& e, std::span<const std::uint32_t> labels, std::span<double> scratch) {
  expects<ShapeError>(scratch.size() >= score_scratch(e.frames), "ctc score: scratch has ", scratch.size(),
                      " values, expected ", score_scratch(e.frames));
  for (const std::uint32_t label : labels)
    expects<ValueError>(label < e.tokens && label != e.blank, "ctc score: label ", label,
                        ", expected one below tokens = ", e.tokens, " other than the blank ", e.blank);
}

// Paths through the states blank, label 0, blank, label 1, ..., blank: state 2 j + 1 is label j.
class Alignment {
 public:
  Alignment(const Emissions& e, std::span<const std::uint32_t> labels, std::span<double> scratch,
            std::span<std::uint32_t> frames)
      : e_(e), labels_(labels), states_(2 * labels.size() + 1), forward_(scratch.first(states_)),
        backward_(scratch.subspan(states_, states_)), frames_(frames) {}

  void run() {
    const std::size_t top = states_ - 1;
    std::fill(backward_.begin(), backward_.end(), minus_infinity);
    backward_[top] = score(e_.frames - 1, top);
    backward_[top - 1] = score(e_.frames - 1, top - 1);
    for (std::size_t t = e_.frames - 1; t-- > 0;) step_back(t, 0, top);
    const std::size_t first = backward_[1] >= backward_[0] ? 1 : 0;
    start(0, first, top);
    for (std::size_t t = 1; t < e_.frames; ++t) step(t, first, top);
    const std::size_t last = forward_[top - 1] >= forward_[top] ? top - 1 : top;
    split(0, e_.frames, first, last);
  }

 private:
  double score(std::size_t t, std::size_t state) const {
    return static_cast<double>(e_.row(t)[state % 2 == 0 ? e_.blank : labels_[state / 2]]);
  }
  bool may_skip(std::size_t from) const {  // over the blank between two different labels
    return from % 2 == 1 && from + 2 < states_ && labels_[from / 2] != labels_[from / 2 + 1];
  }

  void start(std::size_t t, std::size_t a, std::size_t b) {
    std::fill(forward_.begin() + static_cast<std::ptrdiff_t>(a), forward_.begin() + static_cast<std::ptrdiff_t>(b) + 1,
              minus_infinity);
    forward_[a] = score(t, a);
  }
  void step(std::size_t t, std::size_t a, std::size_t b) {
    for (std::size_t s = b + 1; s-- > a;) {
      double best = forward_[s];
      if (s > a) best = std::max(best, forward_[s - 1]);
      if (s > a + 1 && may_skip(s - 2)) best = std::max(best, forward_[s - 2]);
      forward_[s] = best + score(t, s);
    }
  }
  void step_back(std::size_t t, std::size_t a, std::size_t b) {
    for (std::size_t s = a; s <= b; ++s) {
      double best = backward_[s];
      if (s < b) best = std::max(best, backward_[s + 1]);
      if (s + 1 < b && may_skip(s)) best = std::max(best, backward_[s + 2]);
      backward_[s] = best + score(t, s);
    }
  }

  // Frames [from, to) begin in state a and end in state b: where do they cross the middle?
  void split(std::size_t from, std::size_t to, std::size_t a, std::size_t b) {
    if (to - from == 1 || a == b) {
      for (std::size_t j = a / 2; j < (b + 1) / 2; ++j)
        if (from < frames_[j]) frames_[j] = static_cast<std::uint32_t>(from);
      return;
    }
    const std::size_t middle = from + (to - from) / 2;
    start(from, a, b);
    for (std::size_t t = from + 1; t < middle; ++t) step(t, a, b);
    std::fill(backward_.begin() + static_cast<std::ptrdiff_t>(a),
              backward_.begin() + static_cast<std::ptrdiff_t>(b) + 1, minus_infinity);
    backward_[b] = score(to - 1, b);
    for (std::size_t t = to - 1; t-- > middle;) step_back(t, a, b);
    std::size_t before = a, after = a;
    double best = minus_infinity;
    for (std::size_t s = a; s <= b; ++s)
      for (std::size_t n = s; n <= std::min(b, s + (may_skip(s) ? 2U : 1U)); ++n)
        if (const double both = forward_[s] + backward_[n]; both > best) {
          best = both;
          before = s;
          after = n;
        }
    split(from, middle, a, before);
    split(middle, to, after, b);
  }

  const Emissions& e_;
  std::span<const std::uint32_t> labels_;
  std::size_t states_;
  std::span<double> forward_, backward_;
  std::span<std::uint32_t> frames_;
};

}  // namespace

LogInterval ctc_log_probability(const Emissions& e, std::span<const std::uint32_t> labels, std::span<double> scratch) {
  check(e, labels, scratch);
  const std::size_t n = labels.size();
  if (n > e.frames) return {minus_infinity, minus_infinity};
  constexpr double tiny = 0x1p-700;  // of the largest mass of a frame; what is below it goes into `lost`
  const std::span blank = scratch.first(n + 1);
  const std::span label = scratch.subspan(n + 1, n + 1);
  std::fill(blank.begin(), blank.end(), 0.0);
  std::fill(label.begin(), label.end(), 0.0);
  blank[0] = 1.0;
  double lost = 0.0;
  std::int64_t exponent = 0;
  const auto probability = [&](std::size_t t, std::size_t token) {
    const double p = std::exp(static_cast<double>(e.row(t)[token]));
    return p < 0x1p-900 ? 0.0 : p;
  };
  for (std::size_t t = 0; t < e.frames; ++t) {
    const double p_blank = probability(t, e.blank);
    double most = 0.0;
    for (std::size_t j = std::min(n, t + 1) + 1; j-- > 0;) {
      double emitted = 0.0;
      if (j > 0) {
        const bool repeats = j > 1 && labels[j - 1] == labels[j - 2];
        emitted = label[j] + blank[j - 1] + (repeats ? 0.0 : label[j - 1]);
        emitted *= probability(t, labels[j - 1]);
      }
      blank[j] = (blank[j] + label[j]) * p_blank;
      label[j] = emitted;
      if (blank[j] < tiny) blank[j] = 0.0;
      if (label[j] < tiny) label[j] = 0.0;
      most = std::max({most, blank[j], label[j]});
    }
    // A frame multiplies what has been lost by at most its row sum and loses at most 2 (n + 1) (tiny + 2^-890) more.
    lost = lost * (1.0 + 2 * row_sum_tolerance) + static_cast<double>(n + 1) * 0x1p-690;
    if (most == 0.0) return {minus_infinity, log_up(lost, exponent)};
    const int shift = std::ilogb(most);
    for (std::size_t j = 0; j <= std::min(n, t + 1); ++j) {
      blank[j] = std::scalbn(blank[j], -shift);
      label[j] = std::scalbn(label[j], -shift);
    }
    lost = std::scalbn(lost, -shift);
    exponent += shift;
  }
  const double mass = blank[n] + label[n];
  const double rounding = double_rounding(e.frames);
  return {log_down(mass, exponent) - rounding, log_up(mass + lost, exponent) + rounding};
}

void ctc_label_frames(const Emissions& e, std::span<const std::uint32_t> labels, std::span<double> scratch,
                      std::span<std::uint32_t> frames) {
  check(e, labels, scratch);
  expects<ShapeError>(frames.size() == labels.size(), "ctc_label_frames: frames has ", frames.size(),
                      " values, labels ", labels.size());
  std::fill(frames.begin(), frames.end(), static_cast<std::uint32_t>(e.frames - 1));
  if (labels.empty() || labels.size() > e.frames) return;
  Alignment(e, labels, scratch, frames).run();
}

}  // namespace mpp::speech

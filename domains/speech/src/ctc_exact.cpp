#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

#include <mpp/core/error.hpp>
#include <mpp/speech/ctc_exact.hpp>
#include <mpp/speech/prefix_trie.hpp>

namespace mpp::speech {
namespace {

std::size_t triangle(std::size_t frames) { return (frames + 1) * (frames + 2); }

}  // namespace

double predicted_expansions(std::size_t frames, double total, double log_lower) {
  return static_cast<double>(frames + 1) * total * std::exp(-log_lower) * (1.0 + 0x1p-40);
}

ExactSearch::ExactSearch(std::pmr::memory_resource* memory, std::size_t frames, std::size_t tokens)
    : frames_(frames), tokens_(tokens), probability_(memory), after_(memory), weighted_(memory), masses_(memory),
      children_(memory), path_(memory), labels_(memory) {
  probability_.resize(frames * tokens);
  after_.resize(frames + 1);
  weighted_.resize(2 * frames);
  masses_.resize(triangle(frames));
  children_.resize(frames * tokens);
  path_.resize(frames + 1);
  labels_.resize(frames);
}

Bytes ExactSearch::bytes(std::size_t frames, std::size_t tokens) {
  return bytes_of<double>(frames * tokens + (frames + 1) + 2 * frames) + bytes_of<double>(frames + 1) * (frames + 2) +
         (bytes_of<Child>(frames) * tokens) + bytes_of<Prefix>(frames + 1) + bytes_of<std::uint32_t>(frames);
}

// The masses of the prefix at `depth`, which is the one above it and `label`.
void ExactSearch::enter(std::size_t depth, std::uint32_t label) {
  const std::size_t up = depth - 1;
  const bool repeats = up > 0 && path_[up].label == label;
  const double* from = (repeats ? blank(up) : total(up)) - up;  // [t]: after t frames
  double* const all = total(depth) - depth;
  double* const blanks = blank(depth) - depth;
  const double* const p = &probability_[label * frames_];
  const double* const p_blank = &probability_[blank_token_ * frames_];
  double b = 0.0, n = 0.0;
  for (std::size_t t = up; t < frames_; ++t) {
    const double next_b = p_blank[t] * (b + n);
    n = p[t] * (n + from[t]);
    b = next_b;
    blanks[t + 1] = b;
    all[t + 1] = b + n;
  }
  path_[depth] = {label, 0, 0};
  labels_[up] = label;
}

// Lists the children that may still hold a better labelling.
void ExactSearch::expand(std::size_t depth) {
  if (depth == frames_) return;  // no frame is left for another label
  const double* const all = total(depth) - depth;
  const double* const blanks = blank(depth) - depth;
  double* const from_all = weighted_.data();
  double* const from_blank = from_all + frames_;
  for (std::size_t t = depth; t < frames_; ++t) {
    from_all[t] = all[t] * after_[t + 1];
    from_blank[t] = blanks[t] * after_[t + 1];
  }
  // Each product and each sum of non-negative doubles errs by 2^-53 of itself; masses by a few per frame before that.
  // What underflows adds less than frames * 2^-1000.
  const double rounding = 1.0 + 2.0 * double_rounding(frames_) + static_cast<double>(frames_ + 4) * 0x1p-52;
  Child* const children = &children_[depth * tokens_];
  std::uint32_t count = 0;
  for (std::size_t k = 0; k < tokens_; ++k) {
    if (k == blank_token_) continue;
    const double* const from = depth > 0 && path_[depth].label == k ? from_blank : from_all;
    const double* const p = &probability_[k * frames_];
    std::array<double, 4> sums{};
    std::size_t t = depth;
    for (; t + 4 <= frames_; t += 4)
      for (std::size_t i = 0; i < 4; ++i) sums[i] += p[t + i] * from[t + i];
    for (; t < frames_; ++t) sums[0] += p[t] * from[t];
    const double bound =
        ((sums[0] + sums[1]) + (sums[2] + sums[3])) * rounding + static_cast<double>(frames_) * 0x1p-900;
    if (bound > incumbent_) children[count++] = {float_above(bound), static_cast<std::uint32_t>(k)};
  }
  std::sort(children, children + count,
            [](const Child& a, const Child& b) { return a.bound != b.bound ? a.bound > b.bound : a.label < b.label; });
  path_[depth].children = count;
}

bool ExactSearch::run(const Emissions& e, std::span<const Scaled> after, Incumbents& incumbents,
                      std::span<double> scratch, std::uint64_t limit) {
  expects<ShapeError>(e.frames == frames_ && e.tokens == tokens_ && after.size() == frames_ + 1,
                      "ExactSearch: emissions are ", e.frames, " x ", e.tokens, " with ", after.size(),
                      " bounds, expected ", frames_, " x ", tokens_, " with ", frames_ + 1);
  expects<ValueError>(!incumbents.empty(), "ExactSearch: there is no incumbent");
  blank_token_ = e.blank;
  for (std::size_t t = 0; t < frames_; ++t)
    for (std::size_t k = 0; k < tokens_; ++k)
      probability_[k * frames_ + t] = std::exp(static_cast<double>(e.row(t)[k]));
  for (std::size_t t = 0; t <= frames_; ++t) after_[t] = after[t].times_power(0);
  const auto raise = [&] { incumbent_ = std::exp(incumbents.log_probability(0).lower) * (1.0 - 0x1p-48); };
  raise();

  path_[0] = {no_index, 0, 0};
  double b = 1.0;
  for (std::size_t t = 0; t <= frames_; ++t) {
    total(0)[t] = blank(0)[t] = b;
    if (t < frames_) b *= probability_[blank_token_ * frames_ + t];
  }
  incumbents.offer({}, ctc_log_probability(e, {}, scratch));
  raise();
  expanded_ = 0;
  if (limit == 0) return false;
  expand(0);
  expanded_ = 1;
  for (std::size_t depth = 0;;) {
    Prefix& prefix = path_[depth];
    const bool more =
        prefix.next<prefix.children&& static_cast<double>(children_[depth * tokens_ + prefix.next].bound)> incumbent_;
    if (!more) {
      if (depth-- == 0) return true;
      continue;
    }
    const std::uint32_t label = children_[depth * tokens_ + prefix.next++].label;
    enter(++depth, label);
    const double mass = total(depth)[frames_ - depth];
    if (mass * (1.0 + 0x1p-30) > incumbent_) {
      const std::span labels(labels_.data(), depth);
      incumbents.offer(labels, ctc_log_probability(e, labels, scratch));
      raise();
    }
    if (expanded_ == limit) return false;
    ++expanded_;
    expand(depth);
  }
}

}  // namespace mpp::speech

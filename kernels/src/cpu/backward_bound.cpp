// One utterance at a time, one frame at a time, from the last to the first, in place.
//
// A frame first follows the arcs, grouped by the token they emit: a token that is out of the question in this frame is
// skipped with its whole group and bounded by what it could lead to at best. Few tokens are likely in any one frame, so
// this touches a fraction of the arcs. Then one pass over the states, columns one after the other, in vectors.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "src/cpu/backward_bound.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include <algorithm>

#include "src/backward_rows.hpp"
#include "src/cpu/ops.hpp"

HWY_BEFORE_NAMESPACE();
namespace mpp::kernels::cpu::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

using Integers = hn::CappedTag<std::int32_t, backward_padding>;  // divides the padding on every machine

// States [first, last) of a column, by one frame: `stay` for repeating their token, `pause` for a blank, `least` what
// the arcs that were not followed are worth at most. Returns the largest values.
HWY_INLINE hn::Vec<Integers> step_column(std::int32_t* HWY_RESTRICT label, std::int32_t* HWY_RESTRICT blank,
                                         std::int32_t* HWY_RESTRICT leaving, std::size_t first, std::size_t last,
                                         std::int32_t stay, std::int32_t pause, std::int32_t least) {
  const Integers d;
  const auto stays = hn::Set(d, stay), pauses = hn::Set(d, pause), floor = hn::Set(d, least);
  const auto lowest = hn::Set(d, backward_lowest);
  auto largest = lowest;
  for (std::size_t s = first; s < last; s += hn::Lanes(d)) {
    const auto left = hn::Max(hn::LoadU(d, leaving + s), floor);
    const auto after_blank = hn::Max(hn::Add(hn::LoadU(d, blank + s), pauses), left);
    const auto after_label = hn::Max(hn::Add(hn::LoadU(d, label + s), stays), after_blank);
    hn::StoreU(after_blank, d, blank + s);
    hn::StoreU(after_label, d, label + s);
    hn::StoreU(lowest, d, leaving + s);
    largest = hn::Max(largest, after_label);
  }
  return largest;
}

// Returns the largest value of all columns.
std::int32_t StepColumns(const BackwardGraph& graph, const std::int32_t* loss, std::int32_t top, std::int32_t least,
                         std::int32_t* scratch) {
  const BackwardLayout at = backward_layout(graph);
  const Integers d;
  auto largest = hn::Set(d, backward_lowest);
  for (std::size_t c = 0; c < graph.columns(); ++c) {
    const auto column =
        step_column(scratch + at.label, scratch + at.blank, scratch + at.leaving, graph.column_begin[c],
                    graph.column_begin[c + 1], loss[graph.column_token[c]] - top, loss[graph.blank] - top, least);
    scratch[at.row + c] = hn::GetLane(hn::MaxOfLanes(d, column));
    largest = hn::Max(largest, column);
  }
  return hn::GetLane(hn::MaxOfLanes(d, largest));
}

}  // namespace mpp::kernels::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE

namespace mpp::kernels::cpu {

HWY_EXPORT(StepColumns);

namespace {

class Utterance {
 public:
  Utterance(const BackwardGraph& graph, const BackwardOptions& options, std::int32_t* scratch)
      : graph_(graph), options_(options), scratch_(scratch), label_(scratch + at_.label), blank_(scratch + at_.blank),
        leaving_(scratch + at_.leaving), repeat_(scratch + at_.repeat), row_(scratch + at_.row),
        entered_(scratch + at_.entered), root_(scratch + at_.root) {}

  // No frame is left: only the root can end, or anything may.
  void start(std::int16_t* code, std::int64_t& offset) {
    const std::int32_t inside = options_.open_end ? 0 : backward_lowest;
    std::fill(label_, label_ + graph_.states, inside);
    std::fill(blank_, blank_ + graph_.states, inside);
    std::fill(leaving_, leaving_ + graph_.states, backward_lowest);
    std::fill(row_, row_ + graph_.columns(), inside);
    std::fill(after(), row_ + graph_.width(), options_.last);
    finish_row(std::max(options_.last, inside), code, offset);
    if (!options_.open_end) std::fill(code, code + graph_.columns(), backward_dead);
  }

  void step(const std::int32_t* loss, std::int16_t* code, std::int64_t& offset) {
    const std::int32_t least = follow_arcs(loss);
    follow_root_arcs(loss);
    std::int32_t top = HWY_DYNAMIC_DISPATCH(StepColumns)(graph_, loss, top_, least, scratch_);
    apply_repeats(loss, top);
    step_root(loss, top);
    finish_row(top, code, offset);
  }

 private:
  std::int32_t* after() const { return row_ + graph_.columns(); }  // the root: after each of root_token, then alone
  bool followed(std::int32_t loss) const { return loss >= -options_.follow; }

  template <class Arc>
  static std::span<const Arc> of_token(std::span<const Arc> arcs, std::span<const std::uint32_t> first,
                                       std::size_t token) {
    return arcs.subspan(first[token], first[token + 1] - first[token]);
  }

  bool leads_nowhere(std::size_t token) const {
    return graph_.token_arcs[token] == graph_.token_arcs[token + 1] &&
           graph_.token_repeats[token] == graph_.token_repeats[token + 1];
  }

  // Returns what arcs that are not followed are worth at most.
  std::int32_t follow_arcs(const std::int32_t* loss) {
    std::int32_t least = backward_lowest;
    for (std::size_t token = 0; token < graph_.tokens(); ++token) {
      const std::int32_t gain = loss[token] - top_;
      if (leads_nowhere(token)) continue;
      if (!followed(loss[token])) {
        raise(least, entered_[token] + gain);
        continue;
      }
      for (const BackwardArc& arc : of_token(graph_.arcs, graph_.token_arcs, token))
        raise(leaving_[arc.from], label_[arc.to] + (arc.weight + gain));
      std::int32_t* value = repeat_ + graph_.token_repeats[token];
      for (const BackwardRepeat& arc : of_token(graph_.repeats, graph_.token_repeats, token))
        *value++ = label_[arc.to] + (arc.weight + gain);
    }
    return least;
  }

  void follow_root_arcs(const std::int32_t* loss) {
    for (std::size_t a = 0; a < graph_.root_arcs.size(); ++a) {
      const BackwardRootArc arc = graph_.root_arcs[a];
      root_[a] = label_[arc.to] + (arc.weight + loss[arc.token] - top_);
    }
  }

  void apply_repeats(const std::int32_t* loss, std::int32_t& top) {
    for (std::size_t token = 0; token < graph_.tokens(); ++token) {
      if (!followed(loss[token])) continue;
      const std::int32_t* value = repeat_ + graph_.token_repeats[token];
      for (const BackwardRepeat& arc : of_token(graph_.repeats, graph_.token_repeats, token)) {
        raise(blank_[arc.from], *value);
        raise(row_[arc.column], *value);
        raise(top, *value++);
      }
    }
  }

  // After token k a word cannot begin with k: the best word, and the best that begins with another token than it.
  void step_root(const std::int32_t* loss, std::int32_t& top) {
    const std::size_t roots = graph_.root_token.size();
    const std::int32_t pause = after()[roots] + (loss[graph_.blank] - top_);
    const std::int32_t silent = graph_.silence == BackwardGraph::no_root
                                    ? backward_lowest
                                    : after()[graph_.silence] + (loss[graph_.root_token[graph_.silence]] - top_);
    std::int32_t best = backward_lowest, other = backward_lowest;
    std::uint32_t token = 0;
    for (std::size_t a = 0; a < graph_.root_arcs.size(); ++a)
      if (root_[a] > best) best = root_[a], token = graph_.root_arcs[a].token;
    for (std::size_t a = 0; a < graph_.root_arcs.size(); ++a)
      if (graph_.root_arcs[a].token != token) raise(other, root_[a]);
    const std::int32_t idle = std::max({pause, silent, backward_lowest});
    for (std::size_t i = 0; i < roots; ++i) {
      const std::uint32_t last = graph_.root_token[i];
      after()[i] = std::max({after()[i] + (loss[last] - top_), idle, last == token ? other : best});
      raise(top, after()[i]);
    }
    after()[roots] = std::max(idle, best);
    raise(top, after()[roots]);
  }

  // What the next frame needs of this one, and the codes. `top` is the largest value.
  void finish_row(std::int32_t top, std::int16_t* code, std::int64_t& offset) {
    const std::size_t roots = graph_.root_token.size();
    std::copy(after(), after() + roots, label_ + graph_.states);
    std::fill(entered_, entered_ + graph_.tokens(), backward_lowest);
    for (std::size_t c = 0; c < graph_.columns(); ++c) raise(entered_[graph_.column_token[c]], row_[c]);
    for (std::size_t i = 0; i < roots; ++i) raise(entered_[graph_.root_token[i]], after()[i]);
    base_ += top_;  // what the values of this row are relative to
    top_ = top;
    offset = base_ + top_;
    // ceil() of a negative number; everything is at most the top.
    for (std::size_t i = 0; i < graph_.width(); ++i)
      code[i] = static_cast<std::int16_t>(-std::min((top_ - row_[i]) >> options_.shift, 32767));
  }

  static void raise(std::int32_t& value, std::int32_t to) { value = std::max(value, to); }

  const BackwardGraph& graph_;
  const BackwardOptions options_;
  const BackwardLayout at_ = backward_layout(graph_);
  std::int32_t *scratch_, *label_, *blank_, *leaving_, *repeat_, *row_, *entered_, *root_;
  std::int32_t top_ = 0;  // largest value of the row before: taken off every emission of the next
  std::int64_t base_ = 0;
};

}  // namespace

void backward_bound(const Context&, const BackwardGraph& graph, std::span<const std::int32_t> loss,
                    std::span<const std::uint32_t> frame_begin, const BackwardOptions& options,
                    std::span<std::int32_t> scratch, std::span<std::int16_t> code, std::span<std::int64_t> offset) {
  const std::size_t width = graph.width();
  for (std::size_t u = 0; u + 1 < frame_begin.size(); ++u) {
    Utterance utterance(graph, options, scratch.data() + u * backward_scratch(graph));
    std::size_t row = std::size_t{frame_begin[u + 1]} + u;
    utterance.start(code.data() + row * width, offset[row]);
    for (std::size_t t = frame_begin[u + 1]; t-- > frame_begin[u];) {
      --row;
      utterance.step(loss.data() + t * graph.tokens(), code.data() + row * width, offset[row]);
    }
  }
}

}  // namespace mpp::kernels::cpu
#endif

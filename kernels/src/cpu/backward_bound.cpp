// One utterance at a time, one frame at a time, from the last to the first, in place.
//
// A frame first follows the arcs, grouped by the token they emit and the column they lead into: a group that is out of
// the question in this frame is skipped whole and bounded by what it could lead to at best. Few tokens are likely in any
// one frame and few columns fit what follows, so this touches a fraction of the arcs. Then one pass over the states,
// columns one after the other, in vectors.
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
        root_(scratch + at_.root), active_(scratch + at_.active) {}

  // No frame is left: only the root can end, or anything may.
  void start(std::int16_t* code, std::int64_t& offset) {
    const std::int32_t inside = options_.open_end ? 0 : backward_lowest;
    std::fill(label_, label_ + graph_.states, inside);
    std::fill(blank_, blank_ + graph_.states, inside);
    std::fill(leaving_, leaving_ + graph_.states, backward_lowest);
    std::fill(row_, row_ + graph_.columns(), inside);
    std::fill(after(), row_ + graph_.width(), options_.last);
    finish_row(graph_.columns() > 0 ? std::max(options_.last, inside) : options_.last, code, offset);
    if (!options_.open_end) std::fill(code, code + graph_.columns(), backward_dead);
  }

  void step(const std::int32_t* loss, std::int16_t* code, std::int64_t& offset) {
    const std::int32_t least = follow_arcs(loss);
    follow_root_arcs(loss);
    std::int32_t top = HWY_DYNAMIC_DISPATCH(StepColumns)(graph_, loss, top_, least, scratch_);
    apply_repeats(top);
    step_root(loss, top);
    finish_row(top, code, offset);
  }

 private:
  std::int32_t* after() const { return row_ + graph_.columns(); }  // the root: after each of root_token, then alone
  // The arcs of a group. Pointers are locals, or the compiler would read them again after every store.
  void follow(const BackwardTarget* target, const BackwardTarget* end, std::int32_t gain, std::int32_t& least) const {
    const BackwardArc* const arcs = graph_.arcs.data();
    std::int32_t* const leaving = leaving_;
    for (; target != end; ++target) {
      const std::int32_t value = label_[target->to] + gain;
      if (value < -options_.follow) {
        raise(least, value);
        continue;
      }
      for (const BackwardArc *arc = arcs + target[0].arcs, *last = arcs + target[1].arcs; arc != last; ++arc)
        raise(leaving[arc->from], value + arc->weight);
    }
  }

  // Returns what arcs that are not followed are worth at most.
  std::int32_t follow_arcs(const std::int32_t* loss) {
    std::int32_t least = backward_lowest;
    actives_ = 0;
    for (std::size_t g = 0; g + 1 < graph_.groups.size(); ++g) {
      const BackwardGroup group = graph_.groups[g], next = graph_.groups[g + 1];
      const std::int32_t gain = loss[group.token] - top_, best = row_[group.row] + gain;
      if (best < -options_.follow) {
        raise(least, best);
        continue;
      }
      follow(graph_.targets.data() + group.targets, graph_.targets.data() + next.targets, gain, least);
      if (group.repeats < next.repeats) active_[actives_++] = static_cast<std::int32_t>(g);
      for (std::uint32_t r = group.repeats; r < next.repeats; ++r)
        repeat_[r] = label_[graph_.repeats[r].to] + gain + graph_.repeats[r].weight;
    }
    return least;
  }

  void follow_root_arcs(const std::int32_t* loss) {
    for (std::size_t a = 0; a < graph_.root_arcs.size(); ++a) {
      const BackwardRootArc arc = graph_.root_arcs[a];
      root_[a] = label_[arc.to] + (arc.weight + loss[arc.token] - top_);
    }
  }

  void apply_repeats(std::int32_t& top) {
    for (std::size_t i = 0; i < actives_; ++i) {
      const BackwardGroup* group = &graph_.groups[static_cast<std::size_t>(active_[i])];
      for (std::uint32_t r = group[0].repeats; r < group[1].repeats; ++r) {
        const BackwardRepeat& arc = graph_.repeats[r];
        raise(blank_[arc.from], repeat_[r]);
        raise(row_[arc.column], repeat_[r]);
        raise(top, repeat_[r]);
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
  std::int32_t *scratch_, *label_, *blank_, *leaving_, *repeat_, *row_, *root_, *active_;
  std::size_t actives_ = 0;  // groups with repeats that were followed in this frame
  std::int32_t top_ = 0;     // largest value of the row before: taken off every emission of the next
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
      utterance.step(loss.data() + t * graph.tokens, code.data() + row * width, offset[row]);
    }
  }
}

}  // namespace mpp::kernels::cpu
#endif

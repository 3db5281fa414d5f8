#include <mpp/kernels/backward_bound.hpp>

#include <functional>
#include <vector>

#include "src/backward_rows.hpp"
#include "src/dispatch.hpp"

namespace mpp::kernels {
namespace {

// The few numbers of a graph that a back end reads and writes by are looked at on the host.
template <class T>
class OnHost {
 public:
  OnHost(const Context& context, std::span<const T> values) : values_(values) {
    dispatch(
        context, [] {},
        [&] {
          copy_.resize(values.size());
          cuda::copy_to_host(context, values.data(), copy_.data(), values.size_bytes());
          values_ = copy_;
        });
  }
  OnHost(const OnHost&) = delete;
  std::span<const T> operator*() const { return values_; }

 private:
  std::vector<T> copy_;
  std::span<const T> values_;
};

// Where the parts of an array begin: from 0 to its `size`, each a multiple of `step`, and at least `least` after the one
// before.
template <class Part, class Begin = std::identity>
void expects_parts(const char* name, std::span<const Part> parts, std::size_t size, std::size_t step = 1,
                   const Begin& begin = {}, std::size_t least = 0) {
  const auto at = [&](std::size_t i) -> std::size_t { return std::invoke(begin, parts[i]); };
  expects<ValueError>(at(0) == 0, "backward_bound: ", name, "[0] is ", at(0), ", expected 0");
  for (std::size_t i = 1; i < parts.size(); ++i) {
    expects<ValueError>(at(i) >= at(i - 1) + least && at(i) <= size, "backward_bound: ", name, "[", i, "] is ", at(i),
                        ", expected at least ", at(i - 1) + least, " and at most ", size);
    expects<ValueError>(at(i) % step == 0, "backward_bound: ", name, "[", i, "] is ", at(i),
                        ", expected a multiple of ", step);
  }
  const std::size_t last = at(parts.size() - 1);
  expects<ValueError>(last == size, "backward_bound: ", name, " ends with ", last, ", expected ", size);
}

// Tokens, rows and states of groups, but for the last one.
void expects_groups(const BackwardGraph& graph, std::span<const BackwardGroup> groups,
                    std::span<const BackwardTarget> targets) {
  const std::size_t rows = graph.columns() + graph.root_token.size();
  const std::size_t states = graph.states + graph.root_token.size();
  for (std::size_t i = 0; i + 1 < groups.size(); ++i)
    expects<ValueError>(groups[i].token < graph.tokens && groups[i].row < rows, "backward_bound: groups[", i,
                        "] has token ", groups[i].token, " and row ", groups[i].row, ", expected below ", graph.tokens,
                        " and ", rows);
  for (std::size_t i = 0; i + 1 < targets.size(); ++i)
    expects<ValueError>(targets[i].to < states, "backward_bound: targets[", i, "] is ", targets[i].to,
                        ", expected below ", states);
}

}  // namespace

std::size_t backward_scratch(const BackwardGraph& graph) noexcept { return backward_layout(graph).size; }

void backward_bound(const Context& context, const BackwardGraph& graph, std::span<const std::int32_t> loss,
                    std::span<const std::uint32_t> frame_begin, const BackwardOptions& options,
                    std::span<std::int32_t> scratch, std::span<std::int16_t> code, std::span<std::int64_t> offset) {
  const auto size = [](const char* name, std::size_t is, std::size_t expected) {
    expects<ShapeError>(is == expected, "backward_bound: ", name, " has ", is, " values, expected ", expected);
  };
  expects<ShapeError>(graph.tokens >= 1, "backward_bound: tokens is 0, expected at least 1, the blank");
  expects<ShapeError>(!graph.groups.empty() && !graph.targets.empty(), "backward_bound: groups has ",
                      graph.groups.size(), " values and targets ", graph.targets.size(),
                      ", expected at least the last one of each");
  expects<ShapeError>(!frame_begin.empty(), "backward_bound: frame_begin is empty, expected at least the 0");
  expects<ShapeError>(graph.states % backward_padding == 0 && graph.states < 0x7FFFFFFF - graph.root_token.size(),
                      "backward_bound: states is ", graph.states, ", expected a multiple of ", backward_padding,
                      " below 2^31");
  expects<ValueError>(graph.blank < graph.tokens, "backward_bound: blank is ", graph.blank, ", expected below ",
                      graph.tokens);
  expects<ValueError>(graph.silence < graph.root_token.size() || graph.silence == BackwardGraph::no_root,
                      "backward_bound: silence is ", graph.silence, ", expected below ", graph.root_token.size());
  expects<ValueError>(options.follow >= 0 && options.follow <= backward_all, "backward_bound: follow is ",
                      options.follow, ", expected in [0, 2^30]");
  expects<ValueError>(options.last >= -backward_step && options.last <= backward_gain, "backward_bound: last is ",
                      options.last, ", expected in [-2^28, 2^24]");
  expects<ValueError>(options.shift <= 30, "backward_bound: shift is ", options.shift, ", expected at most 30");
  const std::size_t utterances = frame_begin.size() - 1, frames = loss.size() / graph.tokens;
  size("column_begin", graph.column_begin.size(), graph.columns() + 1);
  size("arc_to", graph.arc_to.size(), graph.arcs.size());
  size("loss", loss.size(), frames * graph.tokens);
  size("scratch", scratch.size(), utterances * backward_scratch(graph));
  size("offset", offset.size(), frames + utterances);
  size("code", code.size(), (frames + utterances) * graph.width());
  const OnHost begin(context, frame_begin), columns(context, graph.column_begin);
  const OnHost groups(context, graph.groups);
  const OnHost targets(context, graph.targets);
  expects_parts("frame_begin", *begin, frames);
  expects_parts("column_begin", *columns, graph.states, backward_padding);
  expects_parts("targets of groups", *groups, graph.targets.size() - 1, 1, &BackwardGroup::targets);
  expects_parts("repeats of groups", *groups, graph.repeats.size(), 1, &BackwardGroup::repeats);
  expects_parts("targets", *targets, graph.arcs.size(), 1, &BackwardTarget::arcs, 1);
  expects_groups(graph, *groups, *targets);
  dispatch(
      context, [&] { cpu::backward_bound(context, graph, loss, frame_begin, options, scratch, code, offset); },
      [&] { cuda::backward_bound(context, graph, loss, frame_begin, options, scratch, code, offset); });
}

}  // namespace mpp::kernels

#include <mpp/kernels/backward_bound.hpp>

#include <functional>
#include <vector>

#include "src/backward_rows.hpp"
#include "src/dispatch.hpp"

namespace mpp::kernels {
namespace {

// Where the parts of an array begin: from 0 to its `size`, never down, each a multiple of `step`. A back end would read
// and write where they say. Few numbers, so they are looked at on the host.
template <class Part, class Begin = std::identity>
void expects_parts(const Context& context, const char* name, std::span<const Part> parts, std::size_t size,
                   std::size_t step = 1, const Begin& begin = {}) {
  std::vector<Part> copy;
  dispatch(
      context, [] {},
      [&] {
        copy.resize(parts.size());
        cuda::copy_to_host(context, parts.data(), copy.data(), parts.size_bytes());
        parts = copy;
      });
  const auto at = [&](std::size_t i) { return std::invoke(begin, parts[i]); };
  expects<ValueError>(at(0) == 0, "backward_bound: ", name, "[0] is ", at(0), ", expected 0");
  for (std::size_t i = 1; i < parts.size(); ++i) {
    expects<ValueError>(at(i) >= at(i - 1) && at(i) <= size, "backward_bound: ", name, "[", i, "] is ", at(i),
                        ", expected at least ", at(i - 1), " (the one before) and at most ", size);
    expects<ValueError>(at(i) % step == 0, "backward_bound: ", name, "[", i, "] is ", at(i),
                        ", expected a multiple of ", step);
  }
  const std::uint32_t last = at(parts.size() - 1);
  expects<ValueError>(last == size, "backward_bound: ", name, " ends with ", last, ", expected ", size);
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
  expects_parts(context, "frame_begin", frame_begin, frames);
  expects_parts(context, "column_begin", graph.column_begin, graph.states, backward_padding);
  expects_parts(context, "targets of groups", graph.groups, graph.targets.size() - 1, 1, &BackwardGroup::targets);
  expects_parts(context, "repeats of groups", graph.groups, graph.repeats.size(), 1, &BackwardGroup::repeats);
  expects_parts(context, "targets", graph.targets, graph.arcs.size(), 1, &BackwardTarget::arcs);
  dispatch(
      context, [&] { cpu::backward_bound(context, graph, loss, frame_begin, options, scratch, code, offset); },
      [&] { cuda::backward_bound(context, graph, loss, frame_begin, options, scratch, code, offset); });
}

}  // namespace mpp::kernels

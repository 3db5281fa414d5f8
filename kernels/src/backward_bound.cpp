#include <mpp/kernels/backward_bound.hpp>

#include <vector>

#include "src/backward_rows.hpp"
#include "src/dispatch.hpp"

namespace mpp::kernels {
namespace {

// Where the parts of an array begin: from 0 to its `size`, never down, each a multiple of `step`. A back end would read
// and write where they say. Few numbers, so they are looked at on the host.
void expects_parts(const Context& context, const char* name, std::span<const std::uint32_t> begin, std::size_t size,
                   std::size_t step = 1) {
  std::vector<std::uint32_t> copy;
  dispatch(
      context, [] {},
      [&] {
        copy.resize(begin.size());
        cuda::copy_to_host(context, begin.data(), copy.data(), begin.size_bytes());
        begin = copy;
      });
  expects<ValueError>(begin.front() == 0, "backward_bound: ", name, "[0] is ", begin.front(), ", expected 0");
  for (std::size_t i = 1; i < begin.size(); ++i) {
    expects<ValueError>(begin[i] >= begin[i - 1] && begin[i] <= size, "backward_bound: ", name, "[", i, "] is ",
                        begin[i], ", expected at least ", begin[i - 1], " (the one before) and at most ", size);
    expects<ValueError>(begin[i] % step == 0, "backward_bound: ", name, "[", i, "] is ", begin[i],
                        ", expected a multiple of ", step);
  }
  expects<ValueError>(begin.back() == size, "backward_bound: ", name, " ends with ", begin.back(), ", expected ", size);
}

}  // namespace

std::size_t backward_scratch(const BackwardGraph& graph) noexcept { return backward_layout(graph).size; }

void backward_bound(const Context& context, const BackwardGraph& graph, std::span<const std::int32_t> loss,
                    std::span<const std::uint32_t> frame_begin, const BackwardOptions& options,
                    std::span<std::int32_t> scratch, std::span<std::int16_t> code, std::span<std::int64_t> offset) {
  const auto size = [](const char* name, std::size_t is, std::size_t expected) {
    expects<ShapeError>(is == expected, "backward_bound: ", name, " has ", is, " values, expected ", expected);
  };
  expects<ShapeError>(graph.token_arcs.size() >= 2, "backward_bound: token_arcs has ", graph.token_arcs.size(),
                      " values, expected at least 2");
  expects<ShapeError>(!frame_begin.empty(), "backward_bound: frame_begin is empty, expected at least the 0");
  expects<ShapeError>(graph.states % backward_padding == 0 && graph.states < 0x7FFFFFFF - graph.root_token.size(),
                      "backward_bound: states is ", graph.states, ", expected a multiple of ", backward_padding,
                      " below 2^31");
  expects<ValueError>(graph.blank < graph.tokens(), "backward_bound: blank is ", graph.blank, ", expected below ",
                      graph.tokens());
  expects<ValueError>(graph.silence < graph.root_token.size() || graph.silence == BackwardGraph::no_root,
                      "backward_bound: silence is ", graph.silence, ", expected below ", graph.root_token.size());
  expects<ValueError>(options.follow >= 0 && options.follow <= backward_step, "backward_bound: follow is ",
                      options.follow, ", expected in [0, 2^28]");
  expects<ValueError>(options.last >= -backward_step && options.last <= backward_gain, "backward_bound: last is ",
                      options.last, ", expected in [-2^28, 2^24]");
  expects<ValueError>(options.shift <= 30, "backward_bound: shift is ", options.shift, ", expected at most 30");
  const std::size_t utterances = frame_begin.size() - 1, frames = loss.size() / graph.tokens();
  size("column_begin", graph.column_begin.size(), graph.columns() + 1);
  size("token_repeats", graph.token_repeats.size(), graph.tokens() + 1);
  size("loss", loss.size(), frames * graph.tokens());
  size("scratch", scratch.size(), utterances * backward_scratch(graph));
  size("offset", offset.size(), frames + utterances);
  size("code", code.size(), (frames + utterances) * graph.width());
  expects_parts(context, "frame_begin", frame_begin, frames);
  expects_parts(context, "column_begin", graph.column_begin, graph.states, backward_padding);
  expects_parts(context, "token_arcs", graph.token_arcs, graph.arcs.size());
  expects_parts(context, "token_repeats", graph.token_repeats, graph.repeats.size());
  dispatch(
      context, [&] { cpu::backward_bound(context, graph, loss, frame_begin, options, scratch, code, offset); },
      [&] { cuda::backward_bound(context, graph, loss, frame_begin, options, scratch, code, offset); });
}

}  // namespace mpp::kernels

#include <mpp/kernels/backward_bound.hpp>

#include <cmath>
#include <functional>

#include <mpp/core/error.hpp>

#include "kernels/backward_scene.hpp"
#include "reference/backward_bound.hpp"

namespace mpp::kernels {
namespace {

struct Bounds {
  std::vector<std::int16_t> code;
  std::vector<std::int64_t> offset;
};

class BackwardBoundTest : public KernelTest {
 protected:
  static Bounds run(const HostBackwardGraph& graph, const std::vector<std::int32_t>& loss,
                    const std::vector<std::uint32_t>& frame_begin, const BackwardOptions& options) {
    const DeviceBackwardGraph device(context(), graph);
    const std::size_t utterances = frame_begin.size() - 1, rows = loss.size() / graph.view().tokens() + utterances;
    DeviceArray<std::int32_t> scratch(context(), utterances * backward_scratch(graph.view()));
    DeviceArray<std::int16_t> code(context(), rows * graph.view().width());
    DeviceArray<std::int64_t> offset(context(), rows);
    backward_bound(context(), device.view(), upload(loss).span(), upload(frame_begin).span(), options, scratch.span(),
                   code.span(), offset.span());
    return {code.to_host(), offset.to_host()};
  }
  static Bounds run(const HostBackwardGraph& graph, const std::vector<std::int32_t>& loss,
                    const BackwardOptions& options) {
    return run(graph, loss, {0, static_cast<std::uint32_t>(loss.size() / graph.view().tokens())}, options);
  }
};
MPP_ON_ALL_DEVICES(BackwardBoundTest);

const std::vector<BackwardShape> shapes{
    {},
    {.tokens = 2, .columns = 1, .most_states = 1, .arcs = 0, .repeats = 2, .roots = 1},
    {.tokens = 3, .columns = 2, .most_states = 8, .arcs = 40, .repeats = 20, .roots = 2, .silence = false},
    {.tokens = 40, .columns = 200, .most_states = 30, .arcs = 9000, .repeats = 9, .roots = 5, .cost = 100000},
    {.tokens = 300, .columns = 300, .most_states = 3, .arcs = 3000, .repeats = 2, .roots = 60, .cost = 30},
};

double value(const Bounds& bounds, std::size_t row, std::size_t column, std::size_t width, std::uint32_t shift) {
  const std::int16_t code = bounds.code[row * width + column];
  if (code == backward_dead) return -HUGE_VAL;
  return static_cast<double>(bounds.offset[row]) + std::ldexp(code, static_cast<int>(shift));
}

struct Comparison {
  std::size_t values = 0, below = 0, tight = 0;
};

Comparison compare(const Bounds& bounds, const std::vector<std::vector<double>>& truth, std::uint32_t shift) {
  Comparison result;
  for (std::size_t t = 0; t < truth.size(); ++t)
    for (std::size_t c = 0; c < truth[t].size(); ++c) {
      const double bound = value(bounds, t, c, truth[t].size(), shift);
      ++result.values;
      if (!(bound >= truth[t][c])) ++result.below;
      if (bound == truth[t][c] ||
          (std::isfinite(bound) && bound - truth[t][c] < std::ldexp(1.0, static_cast<int>(shift))))
        ++result.tight;
    }
  return result;
}

TEST_P(BackwardBoundTest, IsNeverBelowTheBestPathForGraphsOfAnyShape) {
  for (const BackwardShape& shape : shapes)
    for (unsigned seed = 0; seed < 6; ++seed) {
      const HostBackwardGraph graph = random_backward_graph(shape, seed);
      for (const std::size_t frames : {0, 1, 2, 30}) {
        const auto loss = random_losses(frames, shape.tokens, shape.cost, seed + 100);
        const auto truth = reference::backward_bound(graph.view(), loss, -17);
        for (const std::uint32_t shift : {0U, 3U}) {
          // Codes reach 32767 steps down: enough for the small costs, a raised floor for the large ones.
          const Comparison result =
              compare(run(graph, loss, {.last = -17, .follow = backward_step, .shift = shift}), truth, shift);
          ASSERT_EQ(result.below, 0U) << shape.tokens << " tokens, " << frames << " frames";
        }
      }
    }
}

TEST_P(BackwardBoundTest, IsExactWhereNothingIsRaised) {
  const BackwardShape shape{.tokens = 5, .columns = 6, .arcs = 200, .repeats = 30, .cost = 200};
  for (unsigned seed = 0; seed < 20; ++seed) {
    const HostBackwardGraph graph = random_backward_graph(shape, seed);
    const auto loss = random_losses(40, shape.tokens, shape.cost, seed);
    const auto truth = reference::backward_bound(graph.view(), loss, 5);
    const Bounds bounds = run(graph, loss, {.last = 5, .follow = backward_step});
    for (std::size_t t = 0; t < truth.size(); ++t)
      for (std::size_t c = 0; c < truth[t].size(); ++c)
        if (std::isfinite(truth[t][c])) {
          ASSERT_EQ(value(bounds, t, c, truth[t].size(), 0), truth[t][c]);
        }
  }
}

TEST_P(BackwardBoundTest, IsExactWithAnOpenEndToo) {
  const BackwardShape shape{.tokens = 5, .columns = 6, .arcs = 200, .repeats = 30, .cost = 200};
  std::size_t alive = 0;
  for (unsigned seed = 0; seed < 20; ++seed)
    for (const std::int32_t last : {-9, 0, 9})
      for (const std::size_t frames : {0, 1, 40}) {
        const HostBackwardGraph graph = random_backward_graph(shape, seed);
        const auto loss = random_losses(frames, shape.tokens, shape.cost, seed);
        const auto truth = reference::backward_bound(graph.view(), loss, last, 0.0);
        const Bounds bounds = run(graph, loss, {.last = last, .follow = backward_step, .open_end = true});
        for (std::size_t t = 0; t < truth.size(); ++t)
          for (std::size_t c = 0; c < truth[t].size(); ++c, ++alive)
            ASSERT_EQ(value(bounds, t, c, truth[t].size(), 0), truth[t][c]) << frames << " frames";
      }
  EXPECT_GT(alive, 0U);
}

TEST_P(BackwardBoundTest, HoldsWhenUnlikelyTokensAreNotFollowed) {
  std::size_t tight = 0, values = 0;
  for (const BackwardShape& shape : shapes)
    for (unsigned seed = 0; seed < 6; ++seed) {
      const HostBackwardGraph graph = random_backward_graph(shape, seed);
      const auto loss = random_losses(30, shape.tokens, shape.cost, seed + 200);
      const auto truth = reference::backward_bound(graph.view(), loss, 0);
      for (const std::int32_t follow : {0, shape.cost / 4, shape.cost / 2}) {
        const Comparison result = compare(run(graph, loss, {.follow = follow, .shift = 2}), truth, 2);
        ASSERT_EQ(result.below, 0U) << shape.tokens << " tokens, follow " << follow;
        tight += result.tight;
        values += result.values;
      }
    }
  EXPECT_GT(tight, values / 8);
  EXPECT_LT(tight, values);
}

TEST_P(BackwardBoundTest, HoldsAtTheLargestLossesAndWeights) {
  BackwardShape shape{.cost = backward_step};
  for (unsigned seed = 0; seed < 10; ++seed) {
    HostBackwardGraph graph = random_backward_graph(shape, seed);
    for (auto& arc : graph.root_arcs) arc.weight = seed % 2 == 0 ? backward_gain : -backward_step;
    const auto loss = random_losses(50, shape.tokens, backward_step, seed);
    const auto truth = reference::backward_bound(graph.view(), loss, backward_gain);
    for (const std::uint32_t shift : {0U, 10U, 30U})
      for (const std::int32_t follow : {0, 1 << 20, backward_step})
        ASSERT_EQ(
            compare(run(graph, loss, {.last = backward_gain, .follow = follow, .shift = shift}), truth, shift).below,
            0U);
    const std::vector<std::int32_t> worst(50 * shape.tokens, -backward_step);
    ASSERT_EQ(compare(run(graph, worst, {.last = -backward_step, .follow = backward_step, .shift = 9}),
                      reference::backward_bound(graph.view(), worst, -backward_step), 9)
                  .below,
              0U);
  }
}

TEST_P(BackwardBoundTest, UtterancesOfABatchDoNotMeet) {
  const BackwardShape shape{.tokens = 9, .columns = 30, .arcs = 500};
  const HostBackwardGraph graph = random_backward_graph(shape, 3);
  const std::vector<std::uint32_t> begin{0, 7, 7, 8, 60, 61};
  const auto loss = random_losses(begin.back(), shape.tokens, shape.cost, 4);
  const BackwardOptions options{.last = -3, .follow = 400, .shift = 1};
  const Bounds batch = run(graph, loss, begin, options);
  const std::size_t width = graph.view().width();
  for (std::size_t u = 0; u + 1 < begin.size(); ++u) {
    const std::vector<std::int32_t> own(loss.begin() + begin[u] * std::ptrdiff_t{9},
                                        loss.begin() + begin[u + 1] * std::ptrdiff_t{9});
    const Bounds alone = run(graph, own, options);
    for (std::size_t i = 0; i < alone.offset.size(); ++i) {
      const std::size_t row = begin[u] + u + i;
      ASSERT_EQ(batch.offset[row], alone.offset[i]);
      for (std::size_t c = 0; c < width; ++c) ASSERT_EQ(batch.code[row * width + c], alone.code[i * width + c]);
    }
  }
}

TEST_P(BackwardBoundTest, EqualsTheCpuBitForBit) {
  for (const BackwardShape& shape : shapes)
    for (const auto& [follow, open_end] : {std::pair{0, false}, {shape.cost / 3, true}, {backward_step, false}}) {
      const HostBackwardGraph graph = random_backward_graph(shape, 11);
      const std::vector<std::uint32_t> begin{0, 33, 50};
      const auto loss = random_losses(50, shape.tokens, shape.cost, 12);
      const BackwardOptions options{.last = 1, .follow = follow, .shift = 2, .open_end = open_end};
      const Bounds device = run(graph, loss, begin, options);
      const BackwardGraph view = graph.view();
      std::vector<std::int32_t> scratch(2 * backward_scratch(view));
      Bounds host{std::vector<std::int16_t>(52 * view.width()), std::vector<std::int64_t>(52)};
      backward_bound({}, view, loss, begin, options, scratch, host.code, host.offset);
      ASSERT_EQ(device.code, host.code);
      ASSERT_EQ(device.offset, host.offset);
    }
}

// Broken graphs stand for broken kernels: each leaves out or adds what the real one must not.
TEST_P(BackwardBoundTest, TheTestsAboveCatchARepeatWithoutABlankAndALostArc) {
  const BackwardShape shape{.tokens = 4, .columns = 3, .most_states = 3, .arcs = 60, .repeats = 20, .cost = 200};
  const auto below = [&](const std::function<void(HostBackwardGraph&)>& breaks, bool exact) {
    std::size_t count = 0;
    for (unsigned seed = 0; seed < 20; ++seed) {
      const HostBackwardGraph graph = random_backward_graph(shape, seed);
      HostBackwardGraph broken = graph;
      breaks(broken);
      const auto loss = random_losses(12, shape.tokens, shape.cost, seed);
      const Comparison result =
          compare(run(broken, loss, {.follow = backward_step}), reference::backward_bound(graph.view(), loss, 0), 0);
      count += exact ? result.values - result.tight : result.below;
    }
    return count;
  };
  EXPECT_GT(below([](HostBackwardGraph& g) { g.repeats.clear(), g.token_repeats.assign(5, 0); }, false), 20U);
  EXPECT_GT(below(
                [](HostBackwardGraph& g) {
                  for (auto& arc : g.arcs) arc.weight -= 1;
                },
                false),
            20U);
  EXPECT_GT(below([](HostBackwardGraph& g) { g.silence = BackwardGraph::no_root; }, false), 20U);
  EXPECT_GT(below([](HostBackwardGraph& g) { g.root_arcs.pop_back(); }, false), 20U);
}

TEST_P(BackwardBoundTest, NamesTheArgumentThatDoesNotFit) {
  const HostBackwardGraph graph = random_backward_graph({}, 1);
  const auto message = [&](const std::function<void(BackwardGraph&, BackwardOptions&)>& breaks, std::size_t losses = 10,
                           std::size_t rows = 3) {
    BackwardGraph view = graph.view();
    BackwardOptions options{};
    breaks(view, options);
    const auto call = [&] {
      std::vector<std::int32_t> loss(losses), scratch(backward_scratch(graph.view()));
      std::vector<std::int16_t> code(3 * graph.view().width());
      std::vector<std::int64_t> offset(rows);
      const std::vector<std::uint32_t> begin{0, 2};
      backward_bound({}, view, loss, begin, options, scratch, code, offset);
    };
    return message_of<ShapeError>(call) + message_of<ValueError>([&] {
             try {
               call();
             } catch (const ShapeError&) {
             }
           });
  };
  const auto contains = [](const std::string& text, const char* part) { return text.find(part) != std::string::npos; };
  EXPECT_TRUE(contains(message([](auto& g, auto&) { g.states = 3; }), "states is 3"));
  EXPECT_TRUE(contains(message([](auto& g, auto&) { g.token_arcs = {}; }), "token_arcs has 0"));
  EXPECT_TRUE(contains(message([](auto&, auto&) {}, 11), "loss has 11"));
  EXPECT_TRUE(contains(message([](auto&, auto&) {}, 10, 2), "offset has 2"));
}

TEST(BackwardBound, NamesTheOptionThatDoesNotFit) {
  const HostBackwardGraph graph = random_backward_graph({}, 1);
  const auto message = [&](const BackwardOptions& options) {
    return message_of<ValueError>([&] {
      const std::vector<std::uint32_t> begin{0};
      backward_bound({}, graph.view(), {}, begin, options, {}, {}, {});
    });
  };
  EXPECT_NE(message({.follow = -1}).find("follow is -1"), std::string::npos);
  EXPECT_NE(message({.last = backward_gain + 1}).find("last is"), std::string::npos);
  EXPECT_NE(message({.shift = 31}).find("shift is 31"), std::string::npos);
  EXPECT_EQ(message({}), "no error");
}

}  // namespace
}  // namespace mpp::kernels

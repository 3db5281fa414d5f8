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
    const std::size_t utterances = frame_begin.size() - 1, rows = loss.size() / graph.view().tokens + utterances;
    DeviceArray<std::int32_t> scratch(context(), utterances * backward_scratch(graph.view()));
    DeviceArray<std::int16_t> code(context(), rows * graph.view().width());
    DeviceArray<std::int64_t> offset(context(), rows);
    backward_bound(context(), device.view(), upload(loss).span(), upload(frame_begin).span(), options, scratch.span(),
                   code.span(), offset.span());
    return {code.to_host(), offset.to_host()};
  }
  static Bounds run(const HostBackwardGraph& graph, const std::vector<std::int32_t>& loss,
                    const BackwardOptions& options) {
    return run(graph, loss, {0, static_cast<std::uint32_t>(loss.size() / graph.view().tokens)}, options);
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
  std::size_t above = 0;  ///< more than can be, where something can
};

Comparison compare(const Bounds& bounds, const std::vector<std::vector<double>>& truth, std::uint32_t shift) {
  Comparison result;
  for (std::size_t t = 0; t < truth.size(); ++t)
    for (std::size_t c = 0; c < truth[t].size(); ++c) {
      const double bound = value(bounds, t, c, truth[t].size(), shift);
      ++result.values;
      if (!(bound >= truth[t][c])) ++result.below;
      if (std::isfinite(truth[t][c]) && bound - truth[t][c] >= std::ldexp(1.0, static_cast<int>(shift))) ++result.above;
      if (bound == truth[t][c] ||
          (std::isfinite(bound) && bound - truth[t][c] < std::ldexp(1.0, static_cast<int>(shift))))
        ++result.tight;
    }
  return result;
}

// A repeat becomes an arc like the others, which needs no blank before it.
void let_repeats_follow_labels(HostBackwardGraph& g) {
  const HostBackwardGraph was = g;
  const auto count = [](const auto& all) { return static_cast<std::uint32_t>(all.size()); };
  g.targets.clear(), g.arcs.clear(), g.arc_to.clear(), g.repeats.clear();
  const auto add = [&](std::uint32_t from, std::uint32_t to, std::int32_t weight) {
    g.targets.push_back({to, count(g.arcs)});
    g.arcs.push_back({from, weight});
    g.arc_to.push_back(to);
  };
  for (std::size_t i = 0; i + 1 < g.groups.size(); ++i) {
    const BackwardGroup group = was.groups[i], next = was.groups[i + 1];
    g.groups[i].targets = count(g.targets);
    g.groups[i].repeats = 0;
    for (std::uint32_t a = was.targets[group.targets].arcs; a < was.targets[next.targets].arcs; ++a)
      add(was.arcs[a].from, was.arc_to[a], was.arcs[a].weight);
    for (std::uint32_t r = group.repeats; r < next.repeats; ++r)
      add(was.repeats[r].from, was.repeats[r].to, was.repeats[r].weight);
  }
  g.groups.back() = {0, 0, count(g.targets), 0};
  g.targets.push_back({0, count(g.arcs)});
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
              compare(run(graph, loss, {.last = -17, .follow = backward_all, .shift = shift}), truth, shift);
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
    const Bounds bounds = run(graph, loss, {.last = 5, .follow = backward_all});
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
      for (const std::int32_t follow : {0, 1 << 20, backward_step, backward_all})
        ASSERT_EQ(
            compare(run(graph, loss, {.last = backward_gain, .follow = follow, .shift = shift}), truth, shift).below,
            0U);
    const std::vector<std::int32_t> worst(50 * shape.tokens, -backward_step);
    ASSERT_EQ(compare(run(graph, worst, {.last = -backward_step, .follow = backward_all, .shift = 9}),
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
    for (const auto& [follow, open_end] : {std::pair{0, false}, {shape.cost / 3, true}, {backward_all, false}}) {
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
TEST_P(BackwardBoundTest, TheTestsAboveCatchARepeatWithoutABlankAndWhatIsLost) {
  const BackwardShape shape{.tokens = 4, .columns = 3, .most_states = 3, .arcs = 60, .repeats = 20, .cost = 200};
  const auto wrong = [&](const std::function<void(HostBackwardGraph&)>& breaks) {
    Comparison sum;
    for (unsigned seed = 0; seed < 20; ++seed) {
      const HostBackwardGraph graph = random_backward_graph(shape, seed);
      HostBackwardGraph broken = graph;
      breaks(broken);
      const auto loss = random_losses(12, shape.tokens, shape.cost, seed);
      const Comparison result =
          compare(run(broken, loss, {.follow = backward_all}), reference::backward_bound(graph.view(), loss, 0), 0);
      sum.below += result.below;
      sum.above += result.above;
    }
    return sum;
  };
  const Comparison free_repeats = wrong(let_repeats_follow_labels);
  EXPECT_GT(free_repeats.above, 20U);  // what is not possible counts: admissible, but not the maximum
  EXPECT_EQ(free_repeats.below, 0U);
  EXPECT_EQ(wrong([](HostBackwardGraph&) {}).above, 0U);
  EXPECT_GT(wrong([](HostBackwardGraph& g) {
              g.repeats.clear();
              for (auto& group : g.groups) group.repeats = 0;
            }).below,
            20U);
  EXPECT_GT(wrong([](HostBackwardGraph& g) {
              for (auto& arc : g.arcs) arc.weight -= 1;
            }).below,
            20U);
  EXPECT_GT(wrong([](HostBackwardGraph& g) { g.silence = BackwardGraph::no_root; }).below, 20U);
  EXPECT_GT(wrong([](HostBackwardGraph& g) { g.root_arcs.pop_back(); }).below, 20U);
}

TEST_P(BackwardBoundTest, NamesTheArgumentThatDoesNotFit) {
  const HostBackwardGraph graph = random_backward_graph({}, 1);
  const auto message = [&](const std::function<void(BackwardGraph&)>& breaks, std::size_t losses = 10,
                           std::size_t rows = 3) {
    BackwardGraph view = graph.view();
    breaks(view);
    const auto call = [&] {
      std::vector<std::int32_t> loss(losses), scratch(backward_scratch(graph.view()));
      std::vector<std::int16_t> code(3 * graph.view().width());
      std::vector<std::int64_t> offset(rows);
      const std::vector<std::uint32_t> begin{0, 2};
      backward_bound({}, view, loss, begin, {}, scratch, code, offset);
    };
    return message_of<ShapeError>(call) + message_of<ValueError>([&] {
             try {
               call();
             } catch (const ShapeError&) {
             }
           });
  };
  const auto contains = [](const std::string& text, const char* part) { return text.find(part) != std::string::npos; };
  EXPECT_TRUE(contains(message([](auto& g) { g.states = 3; }), "states is 3"));
  EXPECT_TRUE(contains(message([](auto& g) { g.groups = {}; }), "groups has 0"));
  EXPECT_TRUE(contains(message([](auto&) {}, 11), "loss has 11"));
  EXPECT_TRUE(contains(message([](auto&) {}, 10, 2), "offset has 2"));
}

TEST_P(BackwardBoundTest, NamesThePlaceWhereSomethingDoesNotBegin) {
  const HostBackwardGraph graph = random_backward_graph({}, 1);
  const std::vector<std::int32_t> loss(7 * graph.view().tokens);
  const auto message = [&](const std::function<void(HostBackwardGraph&)>& breaks,
                           const std::vector<std::uint32_t>& frame_begin = {0, 3, 7}) {
    HostBackwardGraph broken = graph;
    breaks(broken);
    return message_of<ValueError>([&] { (void)run(broken, loss, frame_begin, {}); });
  };
  const auto frames = [&](const std::vector<std::uint32_t>& begin) { return message([](auto&) {}, begin); };
  const auto says = [](const std::string& text, const char* part) { return text.find(part) != std::string::npos; };
  EXPECT_EQ(frames({0, 0, 3, 7, 7}), "no error");
  EXPECT_PRED2(says, frames({1, 3, 7}), "frame_begin[0] is 1, expected 0");
  EXPECT_PRED2(says, frames({0, 5, 3, 7}), "frame_begin[2] is 3, expected at least 5");
  EXPECT_PRED2(says, frames({0, 3, 8}), "frame_begin[2] is 8, expected at least 3 and at most 7");
  EXPECT_PRED2(says, frames({0, 0xFFFFFFFF, 7}), "frame_begin[1] is 4294967295");
  EXPECT_PRED2(says, frames({0, 3, 6}), "frame_begin ends with 6, expected 7");
  EXPECT_PRED2(says, frames({0}), "frame_begin ends with 0, expected 7");
  EXPECT_PRED2(says, message([](auto& g) { g.column_begin[0] = 8; }), "column_begin[0] is 8, expected 0");
  EXPECT_PRED2(says, message([](auto& g) { g.column_begin[1] += 4; }), "expected a multiple of 8");
  EXPECT_PRED2(says, message([](auto& g) { std::swap(g.column_begin[1], g.column_begin[3]); }), "column_begin[2] is ");
  EXPECT_PRED2(says, message([](auto& g) { g.column_begin.back() += 8; }), "column_begin[6] is ");
  EXPECT_PRED2(says, message([](auto& g) { g.column_begin.back() -= 8; }), "column_begin ");
  EXPECT_PRED2(says, message([](auto& g) { g.targets[2].arcs = 1U << 30; }), "targets[2] is 1073741824");
  EXPECT_PRED2(says, message([](auto& g) { g.arcs.pop_back(), g.arc_to.pop_back(); }), "targets[");
  EXPECT_PRED2(says, message([](auto& g) { g.targets[1].arcs = g.targets[0].arcs; }),
               "targets[1] is 0, expected at least 1");
  EXPECT_PRED2(says, message([](auto& g) { g.targets[1].to = 1U << 30; }), "targets[1] is 1073741824, expected below");
  EXPECT_PRED2(says, message([](auto& g) { g.groups[1].token = 1U << 30; }), "groups[1] has token 1073741824");
  EXPECT_PRED2(says, message([](auto& g) { g.groups[1].row = 1U << 30; }), "and row 1073741824, expected below");
  EXPECT_PRED2(says, message([](auto& g) { g.repeats.pop_back(); }), "repeats of groups[");
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

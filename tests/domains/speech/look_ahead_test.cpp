#include <mpp/speech/look_ahead.hpp>

#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <limits>
#include <memory_resource>
#include <random>
#include <vector>

#include <mpp/core/error.hpp>
#include <mpp/speech/directed.hpp>

#include "domains/speech/word_scenes.hpp"
#include "reference/path_completions.hpp"
#include "reference/quad.hpp"
#include "support/message_of.hpp"

namespace mpp::speech {
namespace {

using namespace mpp::test;

constexpr double inf = std::numeric_limits<double>::infinity();

std::vector<WordShape> shapes() {
  std::vector<WordShape> shapes;
  for (const bool model : {false, true})
    for (const bool unknown : {false, true})
      for (const bool silence : {false, true})
        shapes.push_back({.separator = unknown != silence, .model = model, .unknown = unknown, .silence = silence});
  shapes.push_back({.tokens = 3, .words = 12, .longest = 5, .frames = 8});
  shapes.push_back({.tokens = 5, .words = 1, .longest = 2, .frames = 1});
  shapes.push_back({.words = 0, .frames = 3});
  shapes.push_back({.scale = 1e30, .frames = 4});
  shapes.push_back({.scale = 1e30, .impossible = 0.4, .frames = 6});
  shapes.push_back({.scale = 100.0, .impossible = 0.0});
  return shapes;
}

const std::vector<LookAheadOptions> all_options{{}, {.follow = 0.0}, {.follow = 1.0}, {.follow = 1e9}};

/// A bound of what is left before frame t in a position.
using Bound = std::function<double(const LookAhead&, std::size_t, LookAhead::Position)>;
double as_it_is(const LookAhead& look_ahead, std::size_t t, LookAhead::Position p) {
  return look_ahead.remaining(t, p);
}

struct Count {
  std::size_t values = 0, violated = 0;
};

// Every frame and position of a scene against the best completion over all contexts. `seen` is the graph that the
// look-ahead is made for; the truth is that of the scene.
void compare(const WordScene& scene, const WordGraph& seen, const LookAheadOptions& options, const Bound& bound,
             Count& count, std::size_t most_columns = 1024) {
  const Emissions emissions = scene.emissions();
  const reference::PathCompletions truth(scene.graph(), emissions, options.open_end);
  const FoldedGraph folded(seen, most_columns);
  const LookAhead look_ahead(folded, emissions, std::pmr::new_delete_resource(), options);
  for (std::size_t t = 0; t <= emissions.frames; ++t)
    for (LookAhead::Position p = 0; p < truth.positions(); ++p) {
      const bool unreachable = p >= scene.graph().lexicon().nodes() && folded.column(p) == FoldedGraph::no_column;
      if (unreachable) continue;  // the root after a token that ends no word
      const double best = truth.best(t, p), value = bound(look_ahead, t, p);
      ++count.values;
      if (!(value >= best)) ++count.violated;
    }
}
Count compare_open(const Bound& bound) {
  Count count;
  for (const WordShape& shape : shapes())
    for (std::uint64_t seed = 0; seed < 25; ++seed) {
      const WordScene scene(shape, seed);
      for (LookAheadOptions options : all_options) {
        options.open_end = true;
        compare(scene, scene.graph(), options, bound, count);
      }
    }
  return count;
}

Count compare(const Bound& bound, const std::vector<WordShape>& over = shapes()) {
  Count count;
  for (const WordShape& shape : over)
    for (std::uint64_t seed = 0; seed < 25; ++seed) {
      const WordScene scene(shape, seed);
      for (const LookAheadOptions& options : all_options) compare(scene, scene.graph(), options, bound, count);
    }
  return count;
}

TEST(LookAhead, IsNeverBelowTheBestCompletionInAnyContext) {
  const Count count = compare(as_it_is);
  EXPECT_GE(count.values, 100000U);
  EXPECT_EQ(count.violated, 0U);
}

TEST(LookAhead, InsideIsTheLargestRemainderOfAllPositionsWithTheToken) {
  std::size_t finite = 0;
  for (const WordShape& shape : shapes())
    for (std::uint64_t seed = 0; seed < 4; ++seed) {
      const WordScene scene(shape, seed);
      const FoldedGraph folded(scene.graph());
      const Lexicon& lexicon = scene.graph().lexicon();
      const Emissions emissions = scene.emissions();
      const LookAhead table(folded, emissions, std::pmr::new_delete_resource());
      for (std::size_t t = 0; t <= emissions.frames; ++t) {
        std::vector<double> largest(emissions.tokens, -HUGE_VAL);
        for (Lexicon::Node node = 1; node < lexicon.nodes(); ++node) {
          const double rest = table.remaining(t, node);
          if (std::isinf(rest)) continue;
          ASSERT_LE(rest - static_cast<double>(folded.smear(node)),
                    table.inside(t, lexicon.token(node)) + 1e-12 * (1.0 + std::abs(rest)));
          double& best = largest[lexicon.token(node)];
          best = std::max(best, rest - static_cast<double>(folded.smear(node)));
        }
        for (Token k = 0; k < emissions.tokens; ++k) {
          if (std::isinf(largest[k])) {
            ASSERT_EQ(table.inside(t, k), largest[k]);
            continue;
          }
          ASSERT_NEAR(table.inside(t, k), largest[k], 1e-12 * (1.0 + std::abs(largest[k])) * 1e3);
          ++finite;
        }
      }
    }
  EXPECT_GT(finite, 500U);
}

// Sums of thousands of frames of mixed magnitude, which a path of blanks adds up: each has to be rounded up.
TEST(LookAhead, IsNeverBelowTheExactSumOfManyFrames) {
  constexpr std::size_t frames = 3000;
  std::size_t values = 0, below = 0;
  for (std::uint64_t seed = 0; seed < 30; ++seed) {
    const WordScene scene({.frames = 1}, seed);
    const FoldedGraph folded(scene.graph());
    std::mt19937_64 random(seed);
    std::normal_distribution<double> normal(0.0, seed % 3 == 0 ? 1e9 : seed % 3 == 1 ? 1e17 : 3.0);
    std::vector<float> rows(frames * 4, -std::numeric_limits<float>::infinity());
    for (std::size_t t = 0; t < frames; ++t)
      rows[4 * t] = static_cast<float>(normal(random) * (random() % 3 != 0 ? 1.0 : 1e-7));
    const LookAhead table(folded, Emissions{rows, frames, 4, 0}, std::pmr::new_delete_resource(), {.open_end = true});
    reference::Quad truth = 0;
    for (std::size_t t = frames; t-- > 0;) {
      truth += static_cast<reference::Quad>(rows[4 * t]);
      ++values;
      below += static_cast<reference::Quad>(table.root(t)) < truth ? 1 : 0;
    }
  }
  EXPECT_EQ(values, 90000U);
  EXPECT_EQ(below, 0U);
}

TEST(LookAhead, WithAnOpenEndIsNeverBelowWhatAPathBringsToAnyPosition) {
  const Count count = compare_open(as_it_is);
  EXPECT_GE(count.values, 100000U);
  EXPECT_EQ(count.violated, 0U);
}

// most() takes the place of a position that nobody remembers.
double of_any(const LookAhead& look_ahead, std::size_t t, LookAhead::Position p) {
  const double smear = static_cast<double>(look_ahead.graph().smear(p)), most = look_ahead.most(t);
  return std::isinf(smear) || std::isinf(most) ? -inf : sum_up(most, smear);
}
TEST(LookAhead, OfAnyPositionIsNeverBelowThatOfOne) {
  EXPECT_EQ(compare(of_any).violated, 0U);
  EXPECT_EQ(compare_open(of_any).violated, 0U);
}

TEST(LookAhead, TheTestsAboveCatchWordsThatCountForNothingAtTheEnd) {
  const auto without_smear = [](const LookAhead& look_ahead, std::size_t t, LookAhead::Position p) {
    return look_ahead.remaining(t, p) - std::max(0.0, static_cast<double>(look_ahead.graph().smear(p)));
  };
  EXPECT_GT(compare_open(without_smear).violated, 100U);
  const auto of_the_root = [](const LookAhead& look_ahead, std::size_t t, LookAhead::Position p) {
    return look_ahead.root(t) + static_cast<double>(look_ahead.graph().smear(p));
  };
  EXPECT_GT(compare_open(of_the_root).violated, 100U);
}

TEST(LookAhead, HoldsWithOneColumnForEachLastToken) {
  Count count;
  std::size_t fewer = 0;
  for (const WordShape& shape : shapes())
    for (std::uint64_t seed = 0; seed < 10; ++seed) {
      const WordScene scene(shape, seed);
      compare(scene, scene.graph(), {}, as_it_is, count, 1);
      fewer += FoldedGraph(scene.graph(), 1).columns() < FoldedGraph(scene.graph()).columns() ? 1 : 0;
    }
  EXPECT_EQ(count.violated, 0U);
  EXPECT_GT(fewer, 50U);
}

TEST(LookAhead, AtTheStartIsNeverBelowTheBestOfAllPaths) {
  for (const WordShape& shape : shapes())
    for (std::uint64_t seed = 0; seed < 8; ++seed) {
      const WordScene scene(shape, 1000 + seed);
      const Emissions emissions = scene.emissions();
      const double best = reference::best_of_all_paths(scene.graph(), emissions);
      const reference::PathCompletions truth(scene.graph(), emissions);
      const double from_begin = truth.value(0, 0, false, static_cast<std::uint32_t>(scene.graph().begin()));
      if (std::isfinite(best)) {  // the reference itself
        ASSERT_NEAR(from_begin, best, 1e-12 * (1.0 + std::abs(best)) * 8.0);
      } else {
        ASSERT_EQ(from_begin, best);
      }
      const FoldedGraph folded(scene.graph());
      for (const LookAheadOptions& options : all_options)
        ASSERT_GE(LookAhead(folded, emissions, std::pmr::new_delete_resource(), options).root(0) +
                      static_cast<double>(scene.graph().potential(scene.graph().begin())),
                  best);
    }
}

// One word of at most three tokens, no model: nothing is folded, and the root has columns of its own. Left is the rounding:
// a unit for each emission, and 1/32 for the code.
TEST(LookAhead, IsTightAtTheRootForASingleWord) {
  for (std::uint64_t seed = 0; seed < 100; ++seed) {
    const WordShape shape{.words = 1, .longest = 3, .model = false, .unknown = false, .impossible = 0.0, .frames = 12};
    const WordScene scene(shape, seed);
    const Emissions emissions = scene.emissions();
    const reference::PathCompletions truth(scene.graph(), emissions);
    const FoldedGraph folded(scene.graph());
    const LookAhead look_ahead(folded, emissions, std::pmr::new_delete_resource(), {.follow = 1e9});
    for (std::size_t t = 0; t <= emissions.frames; ++t)
      for (LookAhead::Position p = 0; p < truth.positions(); ++p) {
        if ((p > 0 && p < scene.graph().lexicon().nodes()) || folded.column(p) == FoldedGraph::no_column) continue;
        ASSERT_GE(look_ahead.remaining(t, p), truth.best(t, p));
        ASSERT_LE(look_ahead.remaining(t, p), truth.best(t, p) + 1.0 / 32.0 + 14.0 * folded.quantum());
      }
  }
}

TEST(LookAhead, TheTestAboveCatchesCodesRoundedToNearest) {
  const auto nearest = [](const LookAhead& look_ahead, std::size_t t, LookAhead::Position p) {
    return look_ahead.remaining(t, p) - 1.0 / 64.0;
  };
  EXPECT_GT(compare(nearest).violated, 100U);
}

TEST(LookAhead, TheTestAboveCatchesAGraphWithoutTheUnknownWord) {
  Count count;
  for (std::uint64_t seed = 0; seed < 50; ++seed) {
    const WordScene scene({}, seed);
    WordWeights weights = scene.graph().weights();
    weights.unknown_score = -inf;
    compare(scene, scene.other_graph(weights), {.follow = 1e9}, as_it_is, count);
  }
  EXPECT_GT(count.violated, 100U);
}

TEST(LookAhead, TheTestAboveCatchesAnEndThatCostsTooMuchAndAMissingSilence) {
  const auto dear = [](const LookAhead& look_ahead, std::size_t t, LookAhead::Position p) {
    const float end = look_ahead.graph().words().end_upper();
    return look_ahead.remaining(t, p) + (std::isfinite(end) ? static_cast<double>(end) : 0.0);  // counted twice
  };
  EXPECT_GT(compare(dear).violated, 100U);
  Count count;
  for (std::uint64_t seed = 0; seed < 50; ++seed) {
    const WordScene scene({}, seed);
    WordWeights weights = scene.graph().weights();
    weights.silence_score -= 1.0;
    compare(scene, scene.other_graph(weights), {.follow = 1e9}, as_it_is, count);
  }
  EXPECT_GT(count.violated, 100U);
}

TEST(LookAhead, KnowsWhatCannotFinish) {
  const WordScene scene({.frames = 3}, 1);
  const FoldedGraph folded(scene.graph());
  const LookAhead look_ahead(folded, scene.emissions(), std::pmr::new_delete_resource());
  for (LookAhead::Position p = 1; p < scene.graph().lexicon().nodes(); ++p) EXPECT_EQ(look_ahead.remaining(3, p), -inf);
  EXPECT_GE(look_ahead.root(3), static_cast<double>(scene.graph().end_upper()));
  EXPECT_EQ(look_ahead.remaining(0, 1000), -inf);  // no such position
  // A frame that no path can pass.
  WordScene blocked({.frames = 3}, 1);
  for (std::size_t k = 0; k < 4; ++k) blocked.matrix().log_probs[4 + k] = -std::numeric_limits<float>::infinity();
  const LookAhead dead(folded, blocked.emissions(), std::pmr::new_delete_resource());
  EXPECT_EQ(dead.root(0), -inf);
  EXPECT_EQ(dead.root(1), -inf);
  EXPECT_TRUE(std::isfinite(dead.root(2)));
}

/// Counts what is taken from it.
class Counting : public std::pmr::memory_resource {
 public:
  std::size_t now = 0, most = 0;

 private:
  void* do_allocate(std::size_t bytes, std::size_t alignment) override {
    most = std::max(most, now += bytes);
    return std::pmr::new_delete_resource()->allocate(bytes, alignment);
  }
  void do_deallocate(void* memory, std::size_t bytes, std::size_t alignment) override {
    now -= bytes;
    std::pmr::new_delete_resource()->deallocate(memory, bytes, alignment);
  }
  bool do_is_equal(const memory_resource& other) const noexcept override { return this == &other; }
};

TEST(LookAhead, TakesTheBytesThatItAnnouncesAndGivesTheScratchBack) {
  for (const std::size_t frames : {1, 2, 100}) {
    const WordScene scene({.frames = frames}, 2);
    const FoldedGraph folded(scene.graph());
    Counting memory;
    {
      const LookAhead look_ahead(folded, scene.emissions(), &memory);
      EXPECT_EQ(memory.now, LookAhead::bytes(folded, frames).count);
      EXPECT_EQ(memory.most, (LookAhead::bytes(folded, frames) + LookAhead::building_bytes(folded, frames)).count);
    }
    EXPECT_EQ(memory.now, 0U);
  }
}

TEST(LookAhead, NamesWhatDoesNotFit) {
  WordScene scene({.separator = true}, 3);
  const FoldedGraph folded(scene.graph());
  const auto build = [&](const Emissions& emissions, const LookAheadOptions& options = {}) {
    return message_of<ValueError>([&] { LookAhead(folded, emissions, std::pmr::new_delete_resource(), options); });
  };
  EXPECT_NE(build(scene.matrix().view(1)).find("the blank is token 1"), std::string::npos);
  EXPECT_NE(build(scene.emissions(), {.follow = -1.0}).find("follow is -1"), std::string::npos);
  EXPECT_NE(build(scene.emissions(), {.follow = std::nan("")}).find("follow is "), std::string::npos);
  EXPECT_NE(build({scene.matrix().log_probs, 10, 2, 0}).find("emissions have 2 tokens"), std::string::npos);
  scene.matrix().log_probs[0] = std::nanf("");
  EXPECT_NE(build(scene.emissions()), "no error");
  EXPECT_THROW(FoldedGraph(scene.graph(), 0), ValueError);
}

}  // namespace
}  // namespace mpp::speech

// Every allocation of a decoding fails once.
#include <gtest/gtest.h>

#include <cstddef>
#include <new>
#include <random>

#include <mpp/core/control/controller.hpp>
#include <mpp/speech/ctc_stream.hpp>
#include <mpp/speech/score_gap.hpp>
#include <mpp/speech/viterbi_stream.hpp>
#include <mpp/speech/viterbi_tier.hpp>

#include "core/allocation/allocation_plan.hpp"
#include "domains/speech/ctc_scenes.hpp"
#include "domains/speech/viterbi_fuzz.hpp"
#include "domains/speech/word_scenes.hpp"

namespace mpp::speech {
namespace {

using namespace mpp::test;

bool nothing_live(std::ptrdiff_t live) { return live == 0; }

/// Satisfied by nothing: every level runs.
struct Unsatisfied {
  template <class Request, class State, class Result>
  ErrorBound bound(const Request&, const State&, const Result&, Level, Delta) const {
    return ErrorBound::none();
  }
};

TEST(OutOfMemoryDecoding, LeaksNothing) {
  std::mt19937_64 random(2);
  const EmissionMatrix m = random_emissions(random, 6, 4, 1.0, 0.0);
  const CtcRequest request{m.view(0), 2};
  const CtcTier tier({.suffix = {.horizon = 2, .live_cap = 2}});
  const Unsatisfied estimator;
  Ledger ledger(Footprint::unlimited());
  const Controller controller(tier, estimator, ledger.root());
  const auto serve = [&] { (void)controller.serve(request); };
  EXPECT_GT(survives(serve, nothing_live), 60U);
  EXPECT_TRUE(ledger.root().committed().empty());
  EXPECT_TRUE(ledger.root().used().empty());
}

TEST(OutOfMemoryDecoding, OfWordsLeaksNothing) {
  std::mt19937_64 random(4);
  const std::vector<NgramModel> models = fuzz_models(4);
  const ViterbiTier tier({.live_caps = {1, 2}, .exact_cap = 100, .words_per_hypothesis = 1});
  const Unsatisfied estimator;
  for (int i = 0; i < 6; ++i) {
    const ViterbiCase problem(random, Scene::mixed, models);
    const ViterbiRequest request{problem.emissions(), &problem.folded(), 2};
    Ledger ledger(Footprint::unlimited());
    const Controller controller(tier, estimator, ledger.root());
    const auto serve = [&] { (void)controller.serve(request); };
    EXPECT_GE(survives(serve, nothing_live), 20U);
    EXPECT_TRUE(ledger.root().committed().empty());
    EXPECT_TRUE(ledger.root().used().empty());
  }
}

constexpr CtcStreamOptions small{.live_cap = 2, .node_capacity = 8, .longest_uncommitted = 3, .shortest_segment = 4};

TEST(OutOfMemoryStream, LeaksNothing) {
  std::mt19937_64 random(2);
  const EmissionMatrix m = random_emissions(random, 20, 4, 2.0, 0.0);
  const auto decode = [&] {
    CtcStream stream(std::pmr::new_delete_resource(), 4, 0, small);
    StreamOutput output;
    stream.feed(m.view(0), output);
    (void)stream.partial();
    (void)stream.finish(output);
  };
  EXPECT_GE(survives(decode, nothing_live), 12U);
}

TEST(OutOfMemoryStream, GoesOnWhereItWasAndNeedsNoMoreWhenTheOutputIsUsedAgain) {
  std::mt19937_64 random(3);
  const EmissionMatrix m = random_emissions(random, 40, 4, 2.0, 0.0);
  const auto part = [&](std::size_t first, std::size_t frames) {
    return Emissions{std::span(m.log_probs).subspan(first * 4, frames * 4), frames, 4, 0};
  };
  CtcStream undisturbed(std::pmr::new_delete_resource(), 4, 0, small);
  StreamOutput expected;
  undisturbed.feed(m.view(0), expected);
  const StreamResult expected_result = undisturbed.finish(expected);

  CtcStream stream(std::pmr::new_delete_resource(), 4, 0, small);
  StreamOutput output;
  stream.feed(part(0, 10), output);
  for (std::size_t fail_at = 0; fail_at < 2; ++fail_at) {
    bool failed = false;
    {
      const AllocationPlan plan(fail_at);
      try {
        stream.feed(part(10, 20), output);
      } catch (const std::bad_alloc&) {
        failed = true;
      }
    }
    EXPECT_TRUE(failed) << fail_at;
    EXPECT_EQ(stream.frames(), 10U);
  }
  stream.feed(part(10, 20), output);
  StreamOutput all = output;
  output.labels.clear();
  output.segments.clear();
  std::size_t allocations = 0;
  {
    const AllocationPlan plan;
    stream.feed(part(30, 10), output);
    allocations = plan.allocations();
  }
  EXPECT_EQ(allocations, 0U);
  EXPECT_EQ(stream.finish(output), expected_result);
  all.labels.insert(all.labels.end(), output.labels.begin(), output.labels.end());
  all.segments.insert(all.segments.end(), output.segments.begin(), output.segments.end());
  EXPECT_EQ(all.labels, expected.labels);
  EXPECT_EQ(all.segments, expected.segments);
}

TEST(OutOfMemoryStream, OfWordsLeaksNothingAndGoesOnWhereItWas) {
  const WordScene scene({.frames = 40}, 3);
  const FoldedGraph folded(scene.graph());
  ViterbiStreamOptions options{.graph = &folded, .live_cap = 3};
  options.shortest_block = 4;
  options.longest_block = 7;
  options.history_capacity = options.longest_uncommitted + options.longest_block + 2;
  const Emissions all = scene.emissions();
  const auto part = [&](std::size_t first, std::size_t frames) {
    return Emissions{all.log_probs.subspan(first * 4, frames * 4), frames, 4, 0};
  };
  const auto decode = [&] {
    ViterbiStream stream(std::pmr::new_delete_resource(), 4, 0, options);
    WordStreamOutput output;
    stream.feed(all, output);
    (void)stream.partial();
    (void)stream.finish(output);
  };
  EXPECT_GE(survives(decode, nothing_live), 12U);

  ViterbiStream undisturbed(std::pmr::new_delete_resource(), 4, 0, options);
  WordStreamOutput expected;
  undisturbed.feed(all, expected);
  const WordStreamResult expected_result = undisturbed.finish(expected);

  ViterbiStream stream(std::pmr::new_delete_resource(), 4, 0, options);
  WordStreamOutput output;
  for (std::size_t fail_at = 0; fail_at < 2; ++fail_at) {
    bool failed = false;
    {
      const AllocationPlan plan(fail_at);
      try {
        stream.feed(part(0, 30), output);
      } catch (const std::bad_alloc&) {
        failed = true;
      }
    }
    EXPECT_TRUE(failed) << fail_at;
    EXPECT_EQ(stream.frames(), 0U);
  }
  stream.feed(part(0, 30), output);
  WordStreamOutput heard = output;
  output.words.clear();
  output.segments.clear();
  std::size_t allocations = 0;
  {
    const AllocationPlan plan;
    stream.feed(part(30, 10), output);
    allocations = plan.allocations();
  }
  EXPECT_EQ(allocations, 0U);
  EXPECT_EQ(stream.finish(output), expected_result);
  heard.words.insert(heard.words.end(), output.words.begin(), output.words.end());
  heard.segments.insert(heard.segments.end(), output.segments.begin(), output.segments.end());
  EXPECT_EQ(heard.words, expected.words);
  EXPECT_EQ(heard.segments, expected.segments);
}

// A broken twin: it forgets one block for every failure.
TEST(OutOfMemoryDecoding, TheTestAboveCatchesALeak) {
  std::vector<int*> lost;
  lost.reserve(1);
  const auto leaky = [&] {
    lost.push_back(new int(0));
    const std::vector<int> fails(10);
    delete lost.back();
    lost.pop_back();
  };
  EXPECT_EQ(survives(leaky, nothing_live), 0U);
  for (const int* block : lost) delete block;
}

}  // namespace
}  // namespace mpp::speech

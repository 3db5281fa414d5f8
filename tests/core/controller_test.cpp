#include <mpp/core/control/controller.hpp>

#include <gtest/gtest.h>

#include <set>
#include <thread>

#include "core/tiers.hpp"

namespace mpp {
namespace {

using namespace mpp::test;

Footprint host(std::uint64_t count) { return Footprint::host({count}); }

class RecordingSink final : public TraceSink {
 public:
  void record(const TraceStep& step) noexcept override { steps.push_back(step); }
  std::vector<TraceStep> steps{};
};

/// Requests with an even number are released at level 1, the others at the exact one.
struct ParityEstimator {
  ErrorBound bound(const Ask& ask, const LadderTier::State&, const Answer&, Level level, Delta) const {
    return level == 1 && ask.id % 2 == 0 ? ErrorBound::deterministic(0.5) : ErrorBound::none();
  }
};
constexpr QualityTarget half{.epsilon = {0.5}};

TEST(Controller, ReleasesAtTheFirstLevelWithinEpsilon) {
  Ledger ledger(host(1000));
  const LadderTier tier{};
  const ParityEstimator estimator;
  const Controller controller(tier, estimator, ledger.root());
  EXPECT_EQ(controller.serve(Ask{.id = 2}, half).level, 1u);
  EXPECT_EQ(controller.serve(Ask{.id = 2}, half).value(), (Answer{2, {0, 1}}));
  EXPECT_EQ(controller.serve(Ask{.id = 3}, half).level, 2u);
  EXPECT_EQ(controller.serve(Ask{.id = 2}, {.epsilon = {0.4}}).level, 2u);
  EXPECT_EQ(controller.serve(Ask{.id = 2}, half).peak, host(200));
  EXPECT_TRUE(ledger.root().committed().empty());
  EXPECT_EQ(ledger.root().peak(), host(300));
}

TEST(Controller, TracesOneStepPerDecisionWithTheBytesHeld) {
  Ledger ledger(host(1000));
  const LadderTier tier{};
  const ParityEstimator estimator;
  RecordingSink sink;
  const auto outcome = Controller(tier, estimator, ledger.root(), &sink).serve(Ask{.id = 2}, half);
  ASSERT_EQ(outcome.trace.size(), 2u);
  const auto& [first, second] = std::tie(outcome.trace[0], outcome.trace[1]);
  EXPECT_EQ(first.level, 0u);
  EXPECT_EQ(first.decision, Decision::escalate);
  EXPECT_EQ(first.held, host(100));
  EXPECT_EQ(first.increment, host(100));
  EXPECT_EQ(second.level, 1u);
  EXPECT_EQ(second.decision, Decision::release);
  EXPECT_EQ(second.held, host(200));
  EXPECT_EQ(second.increment, host(100));
  EXPECT_EQ(second.bound.value(), 0.5);
  EXPECT_GE(second.elapsed_us, 0.0);
  ASSERT_EQ(sink.steps.size(), 2u);
  EXPECT_EQ(sink.steps[1].request, second.request);
  EXPECT_EQ(sink.steps[1].decision, Decision::release);
}

TEST(Controller, ADenialIsAStepWithTheBytesThatWereAskedFor) {
  Ledger ledger(host(150));
  const LadderTier tier{};
  const ParityEstimator estimator;
  const auto outcome = Controller(tier, estimator, ledger.root()).serve(Ask{}, half);
  ASSERT_EQ(outcome.trace.size(), 2u);
  EXPECT_EQ(outcome.trace[1].decision, Decision::deny);
  EXPECT_EQ(outcome.trace[1].level, 1u);
  EXPECT_EQ(outcome.trace[1].held, host(100));
  EXPECT_EQ(outcome.trace[1].increment, host(100));
  EXPECT_FALSE(outcome.trace[1].bound.within({1e300}));
}

TEST(Outcome, RefusesItsValueUnlessCertified) {
  Outcome<int> outcome;
  EXPECT_THROW((void)outcome.value(), Uncertified);
  outcome.raw = 3;
  EXPECT_THROW((void)outcome.value(), Uncertified);
  outcome.verdict = Verdict::out_of_memory;
  EXPECT_THROW((void)outcome.value(), Uncertified);
  outcome.verdict = Verdict::certified;
  EXPECT_EQ(outcome.value(), 3);
  outcome.raw.reset();
  EXPECT_THROW((void)std::move(outcome).value(), Uncertified);
}

TEST(Controller, AStartingTierBeginsWhereItsPilotProposes) {
  const Scripted estimator{};
  for (const Level proposal : {0u, 1u, 2u, 3u, 1000u}) {
    Ledger ledger(host(1000));
    StartingLadder tier{};
    tier.proposal = proposal;
    const auto outcome = Controller(tier, estimator, ledger.root()).serve(Ask{});
    EXPECT_EQ(outcome.trace.front().level, std::min<Level>(proposal, 2));
    EXPECT_EQ(outcome.trace.size(), 3 - std::min<Level>(proposal, 2));
    EXPECT_EQ(outcome.value(), (Answer{0, {0, 1, 2}}));
    EXPECT_EQ(outcome.peak, host(300));
  }
}

TEST(Controller, NumbersRequestsUniquelyAcrossThreads) {
  Ledger ledger(host(1'000'000));
  const LadderTier tier{};
  const Scripted estimator{};
  const Controller controller(tier, estimator, ledger.root());
  constexpr std::size_t threads = 4, requests = 250;
  std::vector<std::vector<std::uint64_t>> numbers(threads);
  {
    std::vector<std::jthread> pool;
    for (auto& mine : numbers)
      pool.emplace_back([&] {
        for (std::size_t i = 0; i < requests; ++i) mine.push_back(controller.serve(Ask{}).trace.front().request);
      });
  }
  std::set<std::uint64_t> all;
  for (const auto& mine : numbers) all.insert(mine.begin(), mine.end());
  EXPECT_EQ(all.size(), threads * requests);
  EXPECT_TRUE(ledger.root().committed().empty());
}

// ---- batches ----

std::vector<Ask> asks() {
  std::vector<Ask> all;
  for (std::uint64_t id = 0; id < 9; ++id) all.push_back({.id = id, .per_level = {50 * (id % 3 + 1)}});
  return all;
}

// Everything but the request number and the time, which a batch does not share with a run alone.
bool same(const Outcome<Answer>& a, const Outcome<Answer>& b) {
  if (a.verdict != b.verdict || a.raw != b.raw || a.level != b.level || a.peak != b.peak) return false;
  if (a.denial.has_value() != b.denial.has_value() || a.trace.size() != b.trace.size()) return false;
  for (std::size_t i = 0; i < a.trace.size(); ++i)
    if (a.trace[i].level != b.trace[i].level || a.trace[i].decision != b.trace[i].decision ||
        a.trace[i].held != b.trace[i].held || a.trace[i].increment != b.trace[i].increment)
      return false;
  return true;
}

bool a_batch_equals_one_by_one(const BatchLadder& tier, std::uint64_t cap) {
  Ledger ledger(host(cap));
  const ParityEstimator estimator;
  const Controller controller(tier, estimator, ledger.root());
  const auto requests = asks();
  const auto together = controller.serve(std::span<const Ask>(requests), half);
  if (together.size() != requests.size() || !ledger.root().committed().empty()) return false;
  for (std::size_t i = 0; i < requests.size(); ++i)
    if (!same(together[i], controller.serve(requests[i], half))) return false;
  return true;
}

TEST(Controller, ABatchEqualsServingOneByOne) { EXPECT_TRUE(a_batch_equals_one_by_one({}, 100'000)); }
TEST(Controller, ABatchEqualsServingOneByOneUnderEveryCap) {
  // From no room at all, past the cap at which some requests are denied even alone (450), to room for everybody.
  for (std::uint64_t cap = 0; cap <= 2800; cap += 25) EXPECT_TRUE(a_batch_equals_one_by_one({}, cap)) << cap;
}
TEST(Controller, TheTestsAboveCatchABatchThatConfusesItsStates) {
  BatchLadder broken{};
  broken.confuses_states = true;
  EXPECT_FALSE(a_batch_equals_one_by_one(broken, 100'000));
}

TEST(Controller, ABatchMaterialisesEachLevelInOnePass) {
  Ledger ledger(host(100'000));
  const BatchLadder tier{};
  const ParityEstimator estimator;
  const auto requests = asks();
  (void)Controller(tier, estimator, ledger.root()).serve(std::span<const Ask>(requests), half);
  EXPECT_EQ(tier.batches, (std::vector<std::size_t>{9, 9, 4}));  // the five even ones are released at level 1
}

TEST(Controller, AThrowInABatchReturnsEveryByte) {
  for (const Step step : {Step::increment, Step::materialise, Step::execute}) {
    Ledger ledger(host(100'000));
    BatchLadder tier{};
    tier.fault = {step, 1};
    const ParityEstimator estimator;
    const auto requests = asks();
    const Controller controller(tier, estimator, ledger.root());
    EXPECT_THROW((void)controller.serve(std::span<const Ask>(requests), half), std::runtime_error);
    EXPECT_TRUE(ledger.root().committed().empty());
  }
}

TEST(Controller, TiersWithoutABatchServeManyRequestsToo) {
  Ledger ledger(host(300));
  const LadderTier tier{};
  const ParityEstimator estimator;
  const std::vector<Ask> requests{{.id = 1}, {.id = 2}};
  const auto outcomes = Controller(tier, estimator, ledger.root()).serve(std::span<const Ask>(requests), half);
  ASSERT_EQ(outcomes.size(), 2u);
  EXPECT_EQ(outcomes[0].value().id, 1u);
  EXPECT_EQ(outcomes[1].level, 1u);
  EXPECT_TRUE(Controller(tier, estimator, ledger.root()).serve(std::span<const Ask>()).empty());
}

TEST(Archetypes, ServeTheirTopLevel) {
  Ledger ledger(host(0));
  const ArchetypeTier tier;
  const ArchetypeEstimator estimator;
  EXPECT_EQ(Controller(tier, estimator, ledger.root()).serve(ArchetypeTier::Request{}).value(), 1u);
}

}  // namespace
}  // namespace mpp

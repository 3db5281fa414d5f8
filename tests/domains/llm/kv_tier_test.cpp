#include <mpp/llm/kv_tier.hpp>

#include <gtest/gtest.h>

#include <thread>

#include <mpp/core/error.hpp>
#include <mpp/core/memory/reservation.hpp>

#include "domains/llm/read_scene.hpp"
#include "support/message_of.hpp"

namespace mpp::llm {
namespace {

using test::message_of;

constexpr AttentionMetric metrics[] = {AttentionMetric::attention_tv, AttentionMetric::attention_output};

/// A cache with one sequence, and reads of it through a controller.
class Reads {
 public:
  Reads(const ReadScene& of, const kernels::Context& context)
      : scene(of), cache(context, of.geometry, ledger.open(ledger.root(), "cache")), sequence(of.fill(cache)),
        queries(upload(context, of.queries)), account(ledger.open(ledger.root(), "reads")),
        controller(tier, estimator, account) {}

  AttentionRequest request(AttentionMetric metric, double epsilon) const {
    return {.cache = &cache, .sequence = sequence, .queries = queries.span(), .metric = metric, .epsilon = {epsilon}};
  }
  Outcome<AttentionResult> serve(AttentionMetric metric, double epsilon) const {
    const AttentionRequest asked = request(metric, epsilon);
    return controller.serve(asked, {.epsilon = {epsilon}});
  }

  const ReadScene& scene;
  Ledger ledger{Footprint::unlimited()};
  PagedKvCache cache;
  SequenceId sequence;
  kernels::DeviceArray<float> queries;
  KvTier tier;
  AttentionBound estimator;
  Account account;
  AttentionController controller;
};

std::vector<ReadScene> scenes() {
  std::vector<ReadScene> all;
  for (const double sharpness : {0.3, 1.0, 3.0}) {
    all.emplace_back(KvGeometry{.num_kv_heads = 2, .head_dim = 64}, 3, 450, sharpness, 1);
    all.emplace_back(KvGeometry{.num_kv_heads = 1, .head_dim = 128}, 4, 1000, sharpness, 2);
    all.emplace_back(KvGeometry{.num_kv_heads = 1, .head_dim = 32}, 1, 640, sharpness, 3);  // no open page
  }
  return all;
}

// Heads whose output is further from that of the exact cache than `part` of what the certificate says. rms(v) is not above the
// longest value.
std::size_t violations(const Reads& reads, const AttentionResult& result, double part = 1.0) {
  std::size_t found = 0;
  for (std::size_t head = 0; head < result.heads.size(); ++head) {
    const long double error = reads.scene.output_error(result, head);
    const AttentionCertificate& certificate = result.heads[head];
    const bool absolute = error <= static_cast<long double>(part * certificate.output_error);
    const bool relative =
        error <= static_cast<long double>(part * certificate.output_relative) * reads.scene.longest_value(head);
    found += absolute && relative ? 0 : 1;
  }
  return found;
}

class KvTierTest : public KernelTest {};
MPP_ON_ALL_DEVICES(KvTierTest);

TEST_P(KvTierTest, ReleasesWhatIsWithinEpsilonOfTheExactRead) {
  std::array<std::size_t, 5> released{};
  std::size_t shrunk = 0;
  for (const ReadScene& scene : scenes()) {
    const Reads reads(scene, context());
    for (const AttentionMetric metric : metrics)
      for (const double epsilon : {0.5, 0.1, 0.05, 0.02, 0.005, 0.001, 0.0}) {
        const auto outcome = reads.serve(metric, epsilon);
        ASSERT_TRUE(outcome.certified());
        EXPECT_EQ(outcome.bound.kind(), BoundKind::deterministic);
        if (outcome.level < KvTier::exact) {
          EXPECT_LE(outcome.value().error(metric), epsilon);
        }
        EXPECT_EQ(violations(reads, outcome.value()), 0U);
        shrunk += violations(reads, outcome.value(), 0.02);
        ++released[outcome.level];
      }
    EXPECT_TRUE(reads.account.committed().empty());
  }
  for (const Level level : {KvTier::resident, KvTier::promoted, KvTier::exact}) EXPECT_GT(released[level], 0U) << level;
  EXPECT_GT(released[KvTier::promoted], 40U);
  EXPECT_GT(shrunk, 20U);  // a certificate of a fiftieth would not have passed
}

TEST_P(KvTierTest, TheExactLevelIsTheReadOfTheExactCache) {
  for (const ReadScene& scene : scenes()) {
    const Reads reads(scene, context());
    const auto outcome = reads.serve(AttentionMetric::attention_tv, 0.0);
    EXPECT_EQ(outcome.level, KvTier::exact);
    EXPECT_EQ(outcome.trace.size(), 1U);  // nothing below it is tried
    for (std::size_t head = 0; head < outcome.value().heads.size(); ++head)
      EXPECT_LT(scene.output_error(outcome.value(), head), 1e-5L);
  }
}

TEST_P(KvTierTest, PromotesFewPagesWhereFewMatter) {
  // One page holds nearly all the mass: its keys look like the query.
  ReadScene scene({.num_kv_heads = 1, .head_dim = 64}, 1, 64 * 40, 1.0, 5);
  for (std::size_t t = 64 * 7; t < 64 * 8; ++t)
    for (std::size_t c = 0; c < 64; ++c)
      scene.keys[t * 64 + c] =
          kernels::nearest_half(0.9 * static_cast<double>(scene.queries[c]) + 0.3 * scene.number(scene.keys, t, 0, c))
              .bits;
  const Reads reads(scene, context());
  const double unpromoted =
      reads.serve(AttentionMetric::attention_tv, 1.0).value().error(AttentionMetric::attention_tv);
  // With a fine plane the page keeps 0.304 of the bound, most of it for rounding the query: for less it is read exactly.
  const auto exact = reads.serve(AttentionMetric::attention_tv, 0.3 * unpromoted);
  ASSERT_EQ(exact.level, KvTier::promoted);
  ASSERT_EQ(exact.value().promotions.size(), 1U);
  EXPECT_EQ(exact.value().promotions[0].page.page, 7U);
  EXPECT_EQ(exact.value().promotions[0].keys, PageLevel::exact);
  const auto outcome = reads.serve(AttentionMetric::attention_tv, 0.4 * unpromoted);
  ASSERT_EQ(outcome.level, KvTier::promoted);
  ASSERT_EQ(outcome.value().promotions.size(), 1U);
  EXPECT_EQ(outcome.value().promotions[0].page.page, 7U);
  EXPECT_EQ(outcome.value().promotions[0].keys, PageLevel::bits12);
  EXPECT_EQ(outcome.peak, reads.tier.footprint(reads.request(AttentionMetric::attention_tv, 1.0), KvTier::resident) +
                              Footprint::of(plane_space(GetParam()), {kernels::page_plane_bytes(64)}));
}

TEST_P(KvTierTest, KeptPromotionsServeTheNextReadAtOnce) {
  for (const ReadScene& scene : scenes())
    for (const AttentionMetric metric : metrics) {
      Reads reads(scene, context());
      const auto first = reads.serve(metric, 0.02);
      ASSERT_TRUE(first.certified());
      if (first.level != KvTier::promoted) continue;
      const KvUsage before = reads.cache.usage();
      ASSERT_FALSE(keep_promotions(reads.cache, reads.sequence, first.value()).has_value());
      EXPECT_GE(reads.cache.usage().planes, before.planes);
      EXPECT_EQ(reads.cache.usage().data, kv_data_bytes(GetParam(), scene.geometry, reads.cache.usage()));
      const auto second = reads.serve(metric, 0.02);
      EXPECT_EQ(second.level, KvTier::resident);
      EXPECT_EQ(second.value().output, first.value().output);  // of the same codes, bit by bit
      EXPECT_TRUE(second.value().promotions.empty());
    }
}

TEST_P(KvTierTest, PlansForValuesThatAreShorterThanTheirCodes) {
  // Values are 0 but for a token that weighs little: codes of 4 bits stand for half a step of its size. An output made of
  // those is longer than the values that a plan promises allow.
  ReadScene scene({.num_kv_heads = 1, .head_dim = 64}, 2, 450, 1.0, 1);
  for (std::size_t t = 0; t < scene.tokens; ++t)
    for (std::size_t c = 0; c < 64; ++c) {
      scene.values[t * 64 + c] = kernels::nearest_half(t % 64 == 63 ? 1.0 : 0.0).bits;
      if (t % 64 == 63)
        scene.keys[t * 64 + c] = kernels::nearest_half(-0.5 * static_cast<double>(scene.queries[c])).bits;
    }
  const Reads reads(scene, context());
  for (const double epsilon : {0.5, 0.1, 0.01}) {
    const auto outcome = reads.serve(AttentionMetric::attention_output, epsilon);
    EXPECT_TRUE(outcome.certified()) << epsilon;
    EXPECT_EQ(violations(reads, outcome.value()), 0U) << epsilon;
  }
}

TEST_P(KvTierTest, KeepingStopsAtADenialAndAtAPageThatHasLostMemory) {
  ReadScene scene({.num_kv_heads = 1, .head_dim = 64}, 1, 640, 1.0, 6);
  Ledger ledger(Footprint::host({64U << 20}) + Footprint::device({64U << 20}));
  PagedKvCache cache(context(), scene.geometry, ledger.open(ledger.root(), "cache"), {.slab_slots = 1});
  const SequenceId sequence = scene.fill(cache);
  const auto queries = upload(scene.queries);
  const KvTier tier;
  const AttentionBound estimator;
  const AttentionController controller(tier, estimator, ledger.open(ledger.root(), "reads"));
  const AttentionRequest request{.cache = &cache,
                                 .sequence = sequence,
                                 .queries = queries.span(),
                                 .metric = AttentionMetric::attention_output,
                                 .epsilon = {0.01}};
  const auto outcome = controller.serve(request, {.epsilon = {0.01}});
  ASSERT_GE(outcome.value().promotions.size(), 2U);
  const std::size_t planes = cache.usage().planes;
  {
    Reservation ballast(ledger.root());
    EXPECT_FALSE(ballast.try_grow(ledger.root().limit() - ledger.root().committed()).has_value());
    EXPECT_TRUE(keep_promotions(cache, sequence, outcome.value()).has_value());
    EXPECT_EQ(cache.usage().planes, planes);
  }
  cache.demote(sequence, {0, 0, outcome.value().promotions[1].page.page}, PageLevel::bits4, PageLevel::bits4);
  EXPECT_THROW(static_cast<void>(keep_promotions(cache, sequence, outcome.value())), kernels::StalePage);
}

TEST(AttentionResult, ErrorIsThatOfTheWorstHeadAndNaNIfOneIs) {
  constexpr double inf = std::numeric_limits<double>::infinity(), nan = std::numeric_limits<double>::quiet_NaN();
  AttentionResult result;
  result.heads = {{0.1, 5.0, 0.3}, {0.4, 9.0, 0.2}, {0.2, 7.0, 0.1}};
  EXPECT_EQ(result.error(AttentionMetric::attention_tv), 0.4);
  EXPECT_EQ(result.error(AttentionMetric::attention_output), 0.3);
  result.heads[1].output_relative = inf;
  EXPECT_EQ(result.error(AttentionMetric::attention_output), inf);
  result.heads[0].output_relative = nan;
  EXPECT_TRUE(std::isnan(result.error(AttentionMetric::attention_output)));
  EXPECT_EQ(result.error(AttentionMetric::attention_tv), 0.4);
}

TEST_P(KvTierTest, AReadLeavesTheCacheAsItIs) {
  const ReadScene scene = scenes().front();
  const Reads reads(scene, context());
  const KvUsage before = reads.cache.usage();
  const auto views = reads.cache.pages(reads.sequence, 0, 0);
  const std::vector<kernels::KvPage> pages(views.begin(), views.end());
  for (const double epsilon : {0.1, 0.01, 0.0})
    static_cast<void>(reads.serve(AttentionMetric::attention_output, epsilon));
  EXPECT_EQ(reads.cache.usage().total(), before.total());
  EXPECT_EQ(std::memcmp(views.data(), pages.data(), views.size_bytes()), 0);
}

TEST_P(KvTierTest, ReadsMayRunSideBySide) {
  const ReadScene scene = scenes()[3];
  const Reads reads(scene, context());
  const auto alone = reads.serve(AttentionMetric::attention_output, 0.01);
  std::vector<Outcome<AttentionResult>> together(8);
  {
    std::vector<std::jthread> threads;
    for (auto& outcome : together)
      threads.emplace_back([&] { outcome = reads.serve(AttentionMetric::attention_output, 0.01); });
  }
  for (const auto& outcome : together) EXPECT_EQ(outcome.value().output, alone.value().output);
  EXPECT_TRUE(reads.account.committed().empty());
}

TEST_P(KvTierTest, EvictedPagesAreBoundedAndComeBackForTheRead) {
  const ReadScene scene({.num_kv_heads = 1, .head_dim = 64}, 2, 700, 1.0, 9);
  for (const AttentionMetric metric : metrics) {
    Reads reads(scene, context());
    for (std::size_t p = 0; p < 6; ++p)
      reads.cache.demote(reads.sequence, {0, 0, p}, PageLevel::omitted, PageLevel::omitted);
    const auto outcome = reads.serve(metric, 0.05);
    ASSERT_TRUE(outcome.certified());
    EXPECT_EQ(violations(reads, outcome.value()), 0U);
    EXPECT_GT(outcome.level, KvTier::resident);
    EXPECT_LT(outcome.level, KvTier::exact);
    const Level loose = reads.serve(metric, 1e9).level;
    EXPECT_EQ(loose, KvTier::resident);
  }
}

/// Memory that knows what is in use.
class CountingResource final : public std::pmr::memory_resource {
 public:
  std::uint64_t used = 0;

 private:
  void* do_allocate(std::size_t bytes, std::size_t alignment) override {
    used += bytes;
    return std::pmr::new_delete_resource()->allocate(bytes, alignment);
  }
  void do_deallocate(void* block, std::size_t bytes, std::size_t alignment) override {
    used -= bytes;
    std::pmr::new_delete_resource()->deallocate(block, bytes, alignment);
  }
  bool do_is_equal(const std::pmr::memory_resource& other) const noexcept override { return this == &other; }
};

TEST_P(KvTierTest, AsksForExactlyTheBytesItUsesAndNeverForMoreThanItsClaim) {
  for (const ReadScene& scene : scenes()) {
    Reads reads(scene, context());
    // Pages that lack all, and pages that lack nothing but a plane of values.
    for (const std::size_t p : {1, 3, 5})
      ASSERT_FALSE(reads.cache.promote(reads.sequence, {0, 0, p}, PageLevel::exact, PageLevel::bits4).has_value());
    for (const std::size_t p : {0, 4})
      reads.cache.demote(reads.sequence, {0, 0, p}, PageLevel::omitted, PageLevel::omitted);
    for (const AttentionMetric metric : metrics)
      for (const double epsilon : {0.05, 0.002, 1e-9})
        for (const std::vector<Level>& levels : {std::vector<Level>{0, 1, 2, 3, 4}, {1, 2, 4}, {2, 3}, {3}, {4}}) {
          const AttentionRequest request = reads.request(metric, epsilon);
          CountingResource memory;
          AttentionState state(&memory);
          Footprint sum, claim;
          for (const Level level : levels) {
            sum += reads.tier.increment(request, state, level);
            reads.tier.materialise(request, state, level);
            static_cast<void>(reads.tier.execute(request, state, level));
            EXPECT_EQ(memory.used, sum[MemorySpace::host].count) << "level " << level;
            EXPECT_TRUE(sum.within(reads.tier.footprint(request, level))) << "level " << level;
            EXPECT_TRUE(claim.within(reads.tier.footprint(request, level))) << "level " << level;
            claim = reads.tier.footprint(request, level);
          }
        }
  }
}

TEST_P(KvTierTest, ReturnsEverythingWhenTheLedgerIsTooSmallForAnyOfItsLevels) {
  const ReadScene scene = scenes()[3];
  const Reads reads(scene, context());
  const AttentionRequest request = reads.request(AttentionMetric::attention_output, 0.005);
  auto session = reads.controller.start(request, {.epsilon = {0.005}});
  Footprint sum;
  std::size_t denied = 0;
  while (!session.done()) {
    const Footprint increment = session.next_increment();
    sum += increment;
    ASSERT_TRUE(session.advance());
    if (increment.empty()) continue;
    Ledger ledger(sum - Footprint::host({1}));
    const AttentionController controller(reads.tier, reads.estimator, ledger.root());
    const auto outcome = controller.serve(request, {.epsilon = {0.005}});
    EXPECT_EQ(outcome.verdict, Verdict::out_of_memory);
    EXPECT_TRUE(ledger.root().committed().empty());
    ++denied;
  }
  EXPECT_GE(denied, 2U);
}

TEST_P(KvTierTest, DraftsReadFourBits) {
  const ReadScene scene = scenes()[1];
  Reads reads(scene, context());
  const KvTier drafts(KvTier::draft);
  const AttentionController controller(drafts, reads.estimator, reads.account);
  const auto outcome = controller.serve(reads.request(AttentionMetric::attention_tv, 1.0), {.epsilon = {1.0}});
  EXPECT_EQ(outcome.level, KvTier::draft);
  EXPECT_EQ(violations(reads, outcome.value()), 0U);
  EXPECT_GT(outcome.value().error(AttentionMetric::attention_tv),
            4.0 * reads.serve(AttentionMetric::attention_tv, 1.0).value().error(AttentionMetric::attention_tv));
  ASSERT_FALSE(reads.cache.promote(reads.sequence, {0, 0, 3}, PageLevel::exact, PageLevel::bits8).has_value());
  const auto again = controller.serve(reads.request(AttentionMetric::attention_tv, 1.0), {.epsilon = {1.0}});
  EXPECT_EQ(again.value().output, outcome.value().output);  // whatever else the cache holds
}

TEST_P(KvTierTest, WithoutExactNumbersThereIsNoExactLevel) {
  const ReadScene scene = scenes().front();
  Reads reads(scene, context());
  reads.cache.drop_exact(reads.sequence, {0, 1, 2});
  EXPECT_TRUE(reads.serve(AttentionMetric::attention_tv, 0.9).certified());
  EXPECT_NE(message_of<ValueError>([&] {
              static_cast<void>(reads.serve(AttentionMetric::attention_tv, 0.0));
            }).find("page 2 of layer 0, KV head 1"),
            std::string::npos);
  EXPECT_TRUE(reads.account.committed().empty());
}

TEST_P(KvTierTest, ACacheThatChangesUnderAReadIsNoticed) {
  const ReadScene scene = scenes().front();
  Reads reads(scene, context());
  const AttentionRequest request = reads.request(AttentionMetric::attention_tv, 1e-6);
  auto session = reads.controller.start(request, {.epsilon = {1e-6}});
  ASSERT_TRUE(session.advance());
  reads.cache.demote(reads.sequence, {0, 0, 0}, PageLevel::bits4, PageLevel::bits4);
  EXPECT_THROW(while (!session.done()) static_cast<void>(session.advance()), kernels::StalePage);
}

TEST_P(KvTierTest, SumsOfValuesBeyondTheLargestFloatAreAnError) {
  ReadScene scene({.num_kv_heads = 1, .head_dim = 32, .type = kernels::KvType::bfloat16}, 2, 100, 1.0, 7);
  std::ranges::fill(scene.keys, std::uint16_t{0});
  std::ranges::fill(scene.values, std::uint16_t{0x7F00});  // 2^127
  const Reads reads(scene, context());
  for (const double epsilon : {0.1, 0.0})
    EXPECT_NE(message_of<ValueError>([&] {
                static_cast<void>(reads.serve(AttentionMetric::attention_tv, epsilon));
              }).find("the output of head 0 of layer 0 is not finite"),
              std::string::npos);
  EXPECT_TRUE(reads.account.committed().empty());
}

TEST_P(KvTierTest, RefusesRequestsThatAreNone) {
  const ReadScene scene = scenes().front();
  Reads reads(scene, context());
  const auto message = [&](auto&& change) {
    AttentionRequest request = reads.request(AttentionMetric::attention_tv, 0.1);
    change(request);
    return message_of<std::invalid_argument>([&] { static_cast<void>(reads.controller.serve(request)); });
  };
  constexpr float nan = std::numeric_limits<float>::quiet_NaN();
  EXPECT_NE(message([](auto& r) { r.cache = nullptr; }).find("cache"), std::string::npos);
  EXPECT_NE(message([](auto& r) { r.queries = {}; }).find("queries has 0"), std::string::npos);
  EXPECT_NE(message([](auto& r) { r.queries = r.queries.first(100); }).find("queries has 100"), std::string::npos);
  EXPECT_NE(message([](auto& r) { r.layer = 1; }).find("layer is 1"), std::string::npos);
  EXPECT_NE(message([](auto& r) { r.sequence = {}; }).find("unknown"), std::string::npos);
  EXPECT_NE(message([](auto& r) { r.scale = nan; }).find("scale"), std::string::npos);
  EXPECT_NE(message([](auto& r) { r.scale = -1.0F; }).find("scale"), std::string::npos);
  EXPECT_NE(message([](auto& r) { r.metric = static_cast<AttentionMetric>(7); }).find("metric"), std::string::npos);
  EXPECT_NE(message([](auto& r) { r.epsilon = {-1.0}; }).find("epsilon"), std::string::npos);
  const SequenceId empty = std::get<SequenceId>(reads.cache.open());
  EXPECT_NE(message([&](auto& r) { r.sequence = empty; }).find("0 pages"), std::string::npos);
  std::vector<float> bad = scene.queries;
  bad[3] = nan;
  const auto on_device = upload(bad);
  EXPECT_NE(message([&](auto& r) { r.queries = on_device.span(); }), "no error");
  EXPECT_THROW(KvTier(KvTier::promoted), ValueError);
}

}  // namespace
}  // namespace mpp::llm

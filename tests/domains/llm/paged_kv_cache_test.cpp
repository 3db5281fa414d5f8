#include <mpp/llm/paged_kv_cache.hpp>

#include <gtest/gtest.h>

#include <mpp/core/error.hpp>
#include <mpp/core/memory/reservation.hpp>
#include <mpp/kernels/attend_paged.hpp>

#include "domains/llm/naive_cache.hpp"
#include "support/message_of.hpp"

namespace mpp::llm {
namespace {

using test::message_of;

constexpr KvGeometry small{.layers = 1, .num_kv_heads = 1, .head_dim = 32};

class PagedKvCacheTest : public KernelTest {
 protected:
  SequenceId open() { return std::get<SequenceId>(cache->open()); }
  SequenceId fork(SequenceId id) { return std::get<SequenceId>(cache->fork(id)); }
  void append(SequenceId id, std::size_t tokens) {
    const Numbers keys = random_numbers(random, tokens * 32), values = random_numbers(random, tokens * 32);
    ASSERT_FALSE(append(id, 0, keys, values).has_value());
  }
  std::optional<Denial> append(SequenceId id, std::size_t layer, const Numbers& keys, const Numbers& values) {
    auto k = KernelTest::upload(keys), v = KernelTest::upload(values);
    return cache->append(id, layer, k.span(), v.span());
  }
  kernels::KvPage page(SequenceId id, std::size_t p) { return cache->pages(id, 0, 0)[p]; }
  void promote(SequenceId id, std::size_t p, PageLevel keys, PageLevel values) {
    ASSERT_FALSE(cache->promote(id, {0, 0, p}, keys, values).has_value());
  }
  /// One read of these pages as a kernel does it.
  void read(const std::vector<kernels::KvPage>& pages) {
    auto table = KernelTest::upload(pages);
    auto query = KernelTest::upload(std::vector<float>(32, 0.25F));
    kernels::DeviceArray<float> output(context(), 32);
    kernels::DeviceArray<double> log_sum_exp(context(), 1);
    const kernels::KvRead one{.pages = table.span().data(),
                              .page_count = pages.size(),
                              .queries = query.span().data(),
                              .output = output.span().data(),
                              .log_sum_exp = log_sum_exp.span().data(),
                              .statistics = {}};
    kernels::attend_paged(context(), {.head_dim = 32, .scale = 0.2F}, {&one, 1});
  }
  void SetUp() override {
    KernelTest::SetUp();
    if (!IsSkipped()) cache.emplace(context(), small, ledger.root());
  }

  Ledger ledger{Footprint::unlimited()};
  std::optional<PagedKvCache> cache;
  std::mt19937_64 random{7};
};

MPP_ON_ALL_DEVICES(PagedKvCacheTest);

TEST_P(PagedKvCacheTest, SealsAPageWhenItFills) {
  const SequenceId id = open();
  append(id, 63);
  EXPECT_EQ(page(id, 0).key_level, PageLevel::exact);
  EXPECT_EQ(cache->usage().planes, 0U);
  append(id, 1);
  EXPECT_EQ(cache->pages(id, 0, 0).size(), 1U);
  EXPECT_EQ(page(id, 0).key_level, PageLevel::bits8);
  EXPECT_EQ(page(id, 0).value_level, PageLevel::bits4);
  EXPECT_EQ(cache->usage().planes, 3U);
  append(id, 1);
  EXPECT_EQ(cache->pages(id, 0, 0).size(), 2U);
  EXPECT_EQ(page(id, 1).tokens, 1U);
}

TEST_P(PagedKvCacheTest, ChargesSharedPagesOnce) {
  const SequenceId id = open();
  append(id, 200);
  const KvUsage alone = cache->usage();
  const SequenceId shared = fork(id);
  EXPECT_EQ(cache->usage().data, alone.data);
  EXPECT_EQ(cache->usage().table_entries, 2 * alone.table_entries);
  EXPECT_EQ(page(shared, 1).generation, page(id, 1).generation);
  append(shared, 1);  // its open page is copied, the full ones are not
  EXPECT_EQ(cache->usage().pages, alone.pages + 1);
  EXPECT_EQ(page(shared, 2).generation, page(id, 2).generation);
  EXPECT_NE(page(shared, 3).generation, page(id, 3).generation);
  cache->free(id);
  EXPECT_EQ(cache->usage().data, alone.data);
  cache->free(shared);
  EXPECT_TRUE(cache->usage().data.empty());
}

TEST_P(PagedKvCacheTest, TruncatingASharedPageLeavesItToTheOthers) {
  const SequenceId id = open();
  append(id, 128);
  const SequenceId shared = fork(id);
  const kernels::KvPage before = page(id, 1);
  ASSERT_FALSE(cache->truncate(shared, 100).has_value());
  EXPECT_EQ(page(id, 1).generation, before.generation);
  EXPECT_EQ(page(shared, 1).tokens, 36U);
  EXPECT_EQ(page(shared, 1).key_level, PageLevel::exact);
  EXPECT_NE(page(shared, 1).exact_keys, before.exact_keys);
  EXPECT_EQ(download(context(), page(shared, 1).exact_keys, 36 * 64), download(context(), before.exact_keys, 36 * 64));
}

TEST_P(PagedKvCacheTest, RollsBackIntoAFullPageAndGoesOn) {
  const SequenceId id = open();
  append(id, 64);
  const std::uint16_t* const keys = page(id, 0).exact_keys;
  ASSERT_FALSE(cache->truncate(id, 10).has_value());
  if (GetParam() == Device::cpu) {
    EXPECT_EQ(page(id, 0).exact_keys, keys);  // nobody shares it: its exact numbers are not even copied
  }
  EXPECT_EQ(cache->usage().planes, 0U);
  append(id, 54);
  EXPECT_EQ(page(id, 0).key_level, PageLevel::bits8);
  ASSERT_FALSE(cache->truncate(id, 0).has_value());
  EXPECT_TRUE(cache->usage().data.empty());
}

TEST_P(PagedKvCacheTest, PromotesForAllWhoShareAPage) {
  const SequenceId id = open();
  append(id, 64);
  const SequenceId shared = fork(id);
  const kernels::KvPage before = page(id, 0);
  promote(id, 0, PageLevel::bits12, PageLevel::bits8);
  EXPECT_EQ(page(shared, 0).key_level, PageLevel::bits12);
  EXPECT_EQ(page(shared, 0).value_level, PageLevel::bits8);
  EXPECT_EQ(cache->usage().planes, 5U);
  EXPECT_EQ(page(id, 0).generation, before.generation);  // who took a view before may go on
  EXPECT_NO_THROW(read({before}));
}

TEST_P(PagedKvCacheTest, APromotionToExactTakesBytesOfTheDeviceOnly) {
  const SequenceId id = open();
  append(id, 64);
  const Footprint before = cache->usage().data;
  promote(id, 0, PageLevel::exact, PageLevel::exact);
  EXPECT_EQ(page(id, 0).key_level, PageLevel::exact);
  const Bytes exact{GetParam() == Device::cpu ? 0 : 2 * kernels::page_exact_bytes(32)};
  EXPECT_EQ(cache->usage().data, before + Footprint::device(exact));
}

TEST_P(PagedKvCacheTest, AnEvictedPageKeepsItsBoundsAndComesBack) {
  const SequenceId id = open();
  append(id, 64 + 3);
  cache->demote(id, {0, 0, 0}, PageLevel::omitted, PageLevel::omitted);
  EXPECT_EQ(page(id, 0).key_level, PageLevel::omitted);
  EXPECT_EQ(cache->usage().planes, 0U);
  EXPECT_NO_THROW(read({page(id, 0), page(id, 1)}));
  promote(id, 0, PageLevel::bits4, PageLevel::bits4);
  EXPECT_EQ(page(id, 0).key_level, PageLevel::bits4);
  EXPECT_EQ(cache->usage().planes, 2U);
}

TEST_P(PagedKvCacheTest, WhatIsReadAfterItWasFreedIsStale) {
  const SequenceId id = open();
  append(id, 64 + 5);
  const auto views = [&](SequenceId of) {
    const auto span = cache->pages(of, 0, 0);
    return std::vector<kernels::KvPage>(span.begin(), span.end());
  };
  auto kept = views(id);
  EXPECT_NO_THROW(read(kept));
  cache->demote(id, {0, 0, 0}, PageLevel::bits4, PageLevel::bits4);  // the low plane of keys is gone
  EXPECT_THROW(read(kept), kernels::StalePage);
  kept = views(id);
  append(id, 1);  // in place: the tokens that were there still are
  EXPECT_NO_THROW(read(kept));
  ASSERT_FALSE(cache->truncate(id, 66).has_value());
  EXPECT_THROW(read(kept), kernels::StalePage);
  kept = views(id);
  cache->free(id);
  EXPECT_THROW(read(kept), kernels::StalePage);
  const SequenceId other = open();
  append(other, 128);  // in the same memory
  EXPECT_THROW(read(kept), kernels::StalePage);
}

TEST_P(PagedKvCacheTest, ANameOfAnotherGenerationIsStale) {
  const SequenceId id = open();
  append(id, 64);
  const PageName name{0, 0, 0, page(id, 0).generation};
  cache->demote(id, name, PageLevel::bits4, PageLevel::bits4);
  EXPECT_THROW(static_cast<void>(cache->promote(id, name, PageLevel::bits8, PageLevel::bits4)), kernels::StalePage);
  EXPECT_THROW(cache->demote(id, name, PageLevel::bits4, PageLevel::bits4), kernels::StalePage);
  EXPECT_THROW(cache->drop_exact(id, name), kernels::StalePage);
}

TEST_P(PagedKvCacheTest, WithoutExactNumbersAPageIsAllThatItWillBe) {
  const SequenceId id = open();
  append(id, 64);
  cache->drop_exact(id, {0, 0, 0});
  EXPECT_EQ(cache->usage().host_exact, 0U);
  EXPECT_EQ(page(id, 0).exact_keys, nullptr);
  const auto promoted = [&](PageLevel level) {
    static_cast<void>(cache->promote(id, {0, 0, 0}, level, PageLevel::bits4));
  };
  EXPECT_THROW(promoted(PageLevel::bits12), ValueError);
  EXPECT_THROW(promoted(PageLevel::exact), ValueError);
  EXPECT_NO_THROW(promoted(PageLevel::bits8));
  EXPECT_NE(message_of<ValueError>([&] { static_cast<void>(cache->truncate(id, 5)); }).find("were dropped"),
            std::string::npos);
  EXPECT_EQ(cache->tokens(id, 0), 64U);
}

TEST_P(PagedKvCacheTest, RefusesNumbersThatAreNotFiniteAndNamesThem) {
  const SequenceId id = open();
  append(id, 60);
  Numbers good = random_numbers(random, 10 * 32), bad = good;
  bad[7 * 32 + 5] = 0xFC00;
  const auto message = [&](const Numbers& keys, const Numbers& values) {
    return message_of<ValueError>([&] { static_cast<void>(append(id, 0, keys, values)); });
  };
  EXPECT_NE(message(bad, good).find("keys of token 7, KV head 0, channel 5 is infinite"), std::string::npos);
  bad[7 * 32 + 5] = 0x7E01;
  EXPECT_NE(message(good, bad).find("values of token 7, KV head 0, channel 5 is NaN"), std::string::npos);
  EXPECT_EQ(cache->tokens(id, 0), 60U);
  EXPECT_EQ(cache->usage().pages, 1U);
}

TEST_P(PagedKvCacheTest, RefusesWhatDoesNotFit) {
  const SequenceId id = open();
  append(id, 70);
  const Numbers row(32), half(16), none;
  const auto call = [&](auto&& action) { return message_of<std::invalid_argument>(action); };
  const auto append_of = [&](std::size_t layer, const Numbers& keys, const Numbers& values) {
    return call([&] { static_cast<void>(append(id, layer, keys, values)); });
  };
  EXPECT_NE(append_of(0, none, none).find("keys has 0 values"), std::string::npos);
  EXPECT_NE(append_of(0, half, half).find("multiple of num_kv_heads x head_dim = 32"), std::string::npos);
  EXPECT_NE(append_of(0, row, none).find("values has 0 values"), std::string::npos);
  EXPECT_NE(append_of(1, row, row).find("layer is 1"), std::string::npos);
  EXPECT_NE(call([&] { static_cast<void>(cache->truncate(id, 71)); }).find("tokens is 71"), std::string::npos);
  const auto level_of = [&](std::size_t head, std::size_t p, PageLevel keys, PageLevel values) {
    const auto up = call([&] { static_cast<void>(cache->promote(id, {0, head, p}, keys, values)); });
    const auto down = call([&] { cache->demote(id, {0, head, p}, keys, values); });
    EXPECT_EQ(up.substr(up.find(": ")), down.substr(down.find(": ")));
    return up;
  };
  EXPECT_NE(level_of(1, 0, PageLevel::bits8, PageLevel::bits8).find("kv_head is 1"), std::string::npos);
  EXPECT_NE(level_of(0, 2, PageLevel::bits8, PageLevel::bits8).find("page is 2"), std::string::npos);
  EXPECT_NE(level_of(0, 1, PageLevel::bits8, PageLevel::bits8).find("is open"), std::string::npos);
  EXPECT_NE(level_of(0, 0, PageLevel::bits8, PageLevel::bits12).find("keys only"), std::string::npos);
  EXPECT_NE(level_of(0, 0, PageLevel::omitted, PageLevel::bits4).find("both omitted"), std::string::npos);
  EXPECT_NE(call([&] { static_cast<void>(cache->pages(id, 0, 1)); }).find("kv_head is 1"), std::string::npos);
  promote(id, 0, PageLevel::exact, PageLevel::bits4);
  EXPECT_NE(call([&] { cache->drop_exact(id, {0, 0, 0}); }).find("read exactly"), std::string::npos);
}

TEST_P(PagedKvCacheTest, RefusesSequencesThatItDoesNotHave) {
  const SequenceId id = open(), freed = open();
  cache->free(freed);
  const SequenceId reused = open();
  EXPECT_NE(reused, freed);
  PagedKvCache other(context(), small, ledger.root());
  const SequenceId foreign = std::get<SequenceId>(other.open());
  const Numbers row(32);
  for (const SequenceId unknown : {freed, foreign, SequenceId{}}) {
    EXPECT_THROW(static_cast<void>(append(unknown, 0, row, row)), ValueError);
    EXPECT_THROW(static_cast<void>(cache->fork(unknown)), ValueError);
    EXPECT_THROW(static_cast<void>(cache->truncate(unknown, 0)), ValueError);
    EXPECT_THROW(cache->free(unknown), ValueError);
    EXPECT_THROW(static_cast<void>(cache->tokens(unknown, 0)), ValueError);
    EXPECT_THROW(static_cast<void>(cache->pages(unknown, 0, 0)), ValueError);
  }
  EXPECT_EQ(cache->tokens(id, 0), 0U);
}

TEST(PagedKvCache, RefusesAbsurdGeometryAndOptions) {
  Ledger ledger(Footprint::unlimited());
  const auto make = [&](const KvGeometry& geometry, const KvCacheOptions& options = {}) {
    return message_of<std::invalid_argument>([&] { const PagedKvCache cache({}, geometry, ledger.root(), options); });
  };
  constexpr std::size_t huge = ~std::size_t{0};
  for (const std::size_t bad : {std::size_t{0}, std::size_t{4097}, huge}) {
    EXPECT_NE(make({.layers = bad}).find("layers is"), std::string::npos);
    EXPECT_NE(make({.num_kv_heads = bad}).find("num_kv_heads is"), std::string::npos);
  }
  for (const std::size_t bad : {std::size_t{0}, std::size_t{48}, std::size_t{288}, huge})
    EXPECT_NE(make({.head_dim = bad}).find("head_dim is"), std::string::npos);
  EXPECT_NE(make({.type = static_cast<kernels::KvType>(9)}).find("type is 9"), std::string::npos);
  EXPECT_NE(make({}, {.key_level = PageLevel::omitted}).find("key_level"), std::string::npos);
  EXPECT_NE(make({}, {.key_level = PageLevel::exact}).find("key_level"), std::string::npos);
  EXPECT_NE(make({}, {.value_level = PageLevel::bits12}).find("value_level"), std::string::npos);
  EXPECT_NE(make({}, {.slab_slots = 0}).find("slab_slots"), std::string::npos);
  EXPECT_NE(make({}, {.slab_slots = huge}).find("slab_slots"), std::string::npos);
  EXPECT_TRUE(ledger.root().committed().empty());
}

TEST(KvGeometry, BytesOfAPageAreThoseOfTheDocumentation) {
  for (const std::size_t dim : {64U, 128U, 256U}) {
    KvUsage usage;
    usage.pages = 3, usage.planes = 7, usage.host_exact = 2;
    const std::size_t expected = 3 * (192 + 8 * dim) + 7 * 32 * dim + 2 * 128 * dim;
    EXPECT_EQ(kv_data_bytes(kernels::Device::cpu, {.head_dim = dim}, usage), Footprint::host({expected}));
  }
}

TEST(PagedKvCache, OfTheLargestGeometryIsDeniedInASmallLedger) {
  Ledger ledger(Footprint::host({1 << 20}));
  PagedKvCache cache({}, {.layers = most_layers, .num_kv_heads = most_kv_heads}, ledger.root());
  EXPECT_TRUE(std::holds_alternative<Denial>(cache.open()));
  EXPECT_LT(ledger.root().committed().total().count, 1024U);
}

}  // namespace
}  // namespace mpp::llm

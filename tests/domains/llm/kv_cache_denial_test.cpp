// The ledger says no at every step of every operation.
#include <mpp/core/memory/reservation.hpp>

#include "domains/llm/random_operations.hpp"

namespace mpp::llm {
namespace {

struct Snapshot {
  KvUsage usage;
  std::vector<kernels::KvPage> views;
  std::vector<std::uint32_t> tags;  // in the memory of the pages
  std::vector<const kernels::KvPage*> tables;
};

Snapshot snapshot(const PagedKvCache& cache, const NaiveCache& naive) {
  Snapshot now{.usage = cache.usage(), .views = {}, .tags = {}, .tables = {}};
  for (const auto& [id, sequence] : naive.sequences)
    for (std::size_t t = 0; t < sequence.tables.size(); ++t) {
      const auto views = cache.pages({id}, t / naive.geometry.num_kv_heads, t % naive.geometry.num_kv_heads);
      now.views.insert(now.views.end(), views.begin(), views.end());
      now.tables.push_back(views.data());
      for (const auto& view : views) now.tags.push_back(download<std::uint32_t>(cache.context(), view.metadata, 1)[0]);
    }
  return now;
}

bool same(const Snapshot& a, const Snapshot& b) {
  const auto footprints = [](const KvUsage& u) { return std::array{u.data, u.spare, u.tables, u.bookkeeping}; };
  return footprints(a.usage) == footprints(b.usage) && a.usage.pages == b.usage.pages && a.tags == b.tags &&
         a.tables == b.tables && a.views.size() == b.views.size() &&
         (a.views.empty() ||
          std::memcmp(a.views.data(), b.views.data(), a.views.size() * sizeof(kernels::KvPage)) == 0);
}

/// Runs an operation with room for its first claim less one byte, then for its second, and so on until it succeeds.
/// @return how often it was denied
std::size_t succeed_after_every_denial(const Operation& operation, PagedKvCache& cache, const NaiveCache& naive,
                                       Ledger& ledger) {
  const Snapshot before = snapshot(cache, naive);
  Footprint room;
  for (std::size_t denials = 0;; ++denials) {
    std::optional<Denial> denial;
    {
      Reservation ballast(ledger.root());
      EXPECT_FALSE(ballast.try_grow(ledger.root().limit() - ledger.root().committed() - room).has_value());
      denial = operation.run(cache);
    }
    if (!denial) return denials;
    EXPECT_GT(denial->requested, denial->available);
    EXPECT_TRUE(same(before, snapshot(cache, naive))) << "after " << denials << " denials: " << denial->message();
    if (testing::Test::HasFailure()) return denials;
    room[denial->space] += denial->requested - denial->available;
  }
}

class PagedKvCacheDenial : public KernelTest {};
MPP_ON_ALL_DEVICES(PagedKvCacheDenial);

TEST_P(PagedKvCacheDenial, AtAnyStepLeavesTheCacheUnchanged) {
  const std::vector<std::pair<KvGeometry, KvCacheOptions>> shapes{
      {{.layers = 2, .num_kv_heads = 2, .head_dim = 32}, {.slab_slots = 1}},
      {{.layers = 1, .num_kv_heads = 3, .head_dim = 64},
       {.key_level = PageLevel::bits12, .value_level = PageLevel::bits8, .slab_slots = 4}}};
  std::size_t denials = 0;
  for (const auto& [geometry, options] : shapes)
    for (std::uint64_t seed = 100; seed < 104; ++seed) {
      Ledger ledger(Footprint::host({64U << 20}) + Footprint::device({64U << 20}));
      PagedKvCache cache(context(), geometry, ledger.root(), options);
      NaiveCache naive(geometry, options);
      RandomOperations source(seed);
      for (int i = 0; i < 120; ++i) {
        if (i % 10 == 9) cache.trim();  // so that memory has to be claimed again
        const Operation operation = source.next(naive, cache);
        denials += succeed_after_every_denial(operation, cache, naive, ledger);
        operation.apply(naive);
        expect_same(cache, naive, ledger.root(), i % 16 == 15);
        ASSERT_FALSE(HasFailure()) << "seed " << seed << ", operation " << i;
      }
    }
  EXPECT_GT(denials, 5000U);
}

TEST(PagedKvCache, SaysWhoHoldsTheMemoryItLacks) {
  Ledger ledger(Footprint::host({20'000}));
  const Account account = ledger.open(ledger.root(), "kv cache");
  PagedKvCache cache({}, {.head_dim = 64}, account, {.slab_slots = 1});
  const SequenceId id = std::get<SequenceId>(cache.open());
  std::mt19937_64 random(1);
  const Numbers numbers = random_numbers(random, 64);
  std::optional<Denial> denial;
  for (int i = 0; i < 64 && !denial; ++i) denial = cache.append(id, 0, numbers, numbers);
  ASSERT_TRUE(denial.has_value());
  EXPECT_EQ(cache.tokens(id, 0), 63U);  // two exact pages of 8 KiB fit, planes beside them do not
  EXPECT_EQ(denial->holders.at(0).account, "root/kv cache");
}

}  // namespace
}  // namespace mpp::llm

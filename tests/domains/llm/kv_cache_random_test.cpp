// Random operations against a cache that stores everything in vectors.
#include "domains/llm/random_operations.hpp"

namespace mpp::llm {
namespace {

struct Shape {
  KvGeometry geometry;
  KvCacheOptions options;
};
const std::vector<Shape>& shapes() {
  static const std::vector<Shape> all{
      {{.layers = 1, .num_kv_heads = 1, .head_dim = 32}, {.slab_slots = 1}},
      {{.layers = 2, .num_kv_heads = 2, .head_dim = 32}, {}},
      {{.layers = 3, .num_kv_heads = 1, .head_dim = 64, .type = kernels::KvType::bfloat16},
       {.key_level = PageLevel::bits12, .value_level = PageLevel::bits8, .slab_slots = 3}},
      {{.layers = 1, .num_kv_heads = 3, .head_dim = 96}, {.key_level = PageLevel::bits4, .slab_slots = 2}},
  };
  return all;
}

/// What a reader keeps across changes of the cache: a view, and what it showed.
struct KeptView {
  kernels::KvPage view;
  std::vector<std::byte> bytes;
};
std::vector<std::byte> bytes_of_view(const kernels::Context& context, const kernels::KvPage& view, std::size_t dim) {
  std::vector<std::byte> bytes;
  const auto add = [&](const void* memory, std::size_t n) {
    if (memory == nullptr) return;
    const auto part = download(context, memory, n);
    bytes.insert(bytes.end(), part.begin(), part.end());
  };
  for (const auto* plane : view.key_planes) add(plane, kernels::page_plane_bytes(dim));
  for (const auto* plane : view.value_planes) add(plane, kernels::page_plane_bytes(dim));
  add(view.exact_keys, view.tokens * dim * 2);
  add(view.exact_values, view.tokens * dim * 2);
  return bytes;
}
bool stale(const kernels::Context& context, const kernels::KvPage& view) {
  return download<std::uint32_t>(context, view.metadata, 1)[0] != view.generation;
}

struct Kept {
  std::size_t silent = 0;   ///< views of which something has changed that do not say so
  std::size_t changed = 0;  ///< views of which something has changed
  std::size_t intact = 0;
};

// Runs `operations` of them and compares after each; views taken before stay around.
Kept run(const kernels::Context& context, const Shape& shape, std::uint64_t seed, int operations) {
  Ledger ledger(Footprint::unlimited());
  Kept kept;
  {
    PagedKvCache cache(context, shape.geometry, ledger.root(), shape.options);
    NaiveCache naive(shape.geometry, shape.options);
    RandomOperations source(seed);
    std::vector<KeptView> views;
    for (int i = 0; i < operations; ++i) {
      const Operation operation = source.next(naive, cache);
      EXPECT_FALSE(operation.run(cache).has_value());
      operation.apply(naive);
      expect_same(cache, naive, ledger.root(), i % 16 == 0 || i + 1 == operations);
      if (testing::Test::HasFailure()) return kept;
      for (const KeptView& old : views) {
        const bool same = bytes_of_view(context, old.view, shape.geometry.head_dim) == old.bytes;
        kept.changed += same ? 0 : 1;
        kept.intact += same && !stale(context, old.view) ? 1 : 0;
        kept.silent += same || stale(context, old.view) ? 0 : 1;
      }
      if (i % 7 != 0) continue;
      views.clear();
      for (const auto& [id, sequence] : naive.sequences)
        for (const auto& view : cache.pages({id}, 0, 0))
          views.push_back({view, bytes_of_view(context, view, shape.geometry.head_dim)});
    }
    cache.trim();
    for (const auto& [id, sequence] : naive.sequences) cache.free({id});
    cache.trim();
    EXPECT_EQ(cache.usage().pages, 0U);
    EXPECT_TRUE(cache.usage().data.empty());
    EXPECT_TRUE(cache.usage().spare.empty());
    EXPECT_TRUE(cache.usage().tables.empty());
    EXPECT_LT(cache.usage().bookkeeping.total().count, context.device == Device::cpu ? 1024U : 66U << 10);
  }
  EXPECT_TRUE(ledger.root().committed().empty());
  EXPECT_TRUE(ledger.root().used().empty());
  return kept;
}

class PagedKvCacheRandom : public KernelTest {};
MPP_ON_ALL_DEVICES(PagedKvCacheRandom);

TEST_P(PagedKvCacheRandom, HoldsWhatANaiveCacheHoldsInTheBytesOfTheFormula) {
  Kept all;
  for (const Shape& shape : shapes())
    for (std::uint64_t seed = 0; seed < 5; ++seed) {
      const Kept kept = run(context(), shape, seed, 240);
      ASSERT_FALSE(HasFailure()) << "seed " << seed;
      ASSERT_EQ(kept.silent, 0U) << "a view changed under its reader, seed " << seed;
      all.changed += kept.changed;
      all.intact += kept.intact;
    }
  // Without the tags, so many reads would have seen somebody else's numbers.
  EXPECT_GT(all.changed, 100U);
  EXPECT_GT(all.intact, 1000U);
}

}  // namespace
}  // namespace mpp::llm

#pragma once
#include <gtest/gtest.h>

#include <algorithm>
#include <bit>
#include <cstring>
#include <map>
#include <memory>
#include <random>
#include <set>
#include <vector>

#include <mpp/kernels/quantize_page.hpp>
#include <mpp/llm/paged_kv_cache.hpp>

#include "domains/llm/device_memory.hpp"

namespace mpp::llm {

using kernels::page_tokens;
using kernels::PageLevel;
using Numbers = std::vector<std::uint16_t>;  // of 16 bits each

/// A page as the promises of the cache have it: its numbers, and what there is of it.
struct NaivePage {
  Numbers keys, values;  // [tokens][head_dim]
  bool sealed = false, exact_numbers = true;
  PageLevel key_level = PageLevel::exact, value_level = PageLevel::exact;
  std::size_t key_planes = 0, value_planes = 0;
};

/// Stores everything in vectors; sharing is that of shared_ptr.
class NaiveCache {
 public:
  using Table = std::vector<std::shared_ptr<NaivePage>>;
  struct Sequence {
    std::vector<Table> tables;            // [layers][num_kv_heads]
    std::vector<std::size_t> tokens;      // [layers]
    std::vector<std::size_t> capacities;  // [layers][num_kv_heads], of block tables
  };

  NaiveCache(const KvGeometry& shape, const KvCacheOptions& chosen) : geometry(shape), options(chosen) {}

  void open(SequenceId id) {
    const std::size_t tables = geometry.layers * geometry.num_kv_heads;
    sequences[id.value] = {std::vector<Table>(tables), std::vector<std::size_t>(geometry.layers),
                           std::vector<std::size_t>(tables)};
  }
  void fork(SequenceId from, SequenceId to) {
    Sequence copy = sequences.at(from.value);
    for (std::size_t t = 0; t < copy.tables.size(); ++t) copy.capacities[t] = capacity(copy.tables[t].size());
    sequences[to.value] = std::move(copy);
  }
  void free(SequenceId id) { sequences.erase(id.value); }

  void append(SequenceId id, std::size_t layer, const Numbers& keys, const Numbers& values) {
    Sequence& sequence = sequences.at(id.value);
    const std::size_t dim = geometry.head_dim, heads = geometry.num_kv_heads, added = keys.size() / (dim * heads);
    for (std::size_t head = 0; head < heads; ++head) {
      Table& table = sequence.tables[layer * heads + head];
      for (std::size_t token = 0; token < added; ++token) {
        if (table.empty() || table.back()->sealed) table.push_back(std::make_shared<NaivePage>());
        if (table.back().use_count() > 1) table.back() = std::make_shared<NaivePage>(*table.back());
        NaivePage& page = *table.back();
        const auto row = static_cast<std::ptrdiff_t>((token * heads + head) * dim),
                   end = row + static_cast<std::ptrdiff_t>(dim);
        page.keys.insert(page.keys.end(), keys.begin() + row, keys.begin() + end);
        page.values.insert(page.values.end(), values.begin() + row, values.begin() + end);
        if (page.keys.size() == page_tokens * dim) seal(page);
      }
      std::size_t& room = sequence.capacities[layer * heads + head];
      if (table.size() > room) room = capacity(table.size());
    }
    sequence.tokens[layer] += added;
  }

  void truncate(SequenceId id, std::size_t tokens) {
    Sequence& sequence = sequences.at(id.value);
    for (std::size_t t = 0; t < sequence.tables.size(); ++t) {
      Table& table = sequence.tables[t];
      if (sequence.tokens[t / geometry.num_kv_heads] == tokens) continue;
      table.resize((tokens + page_tokens - 1) / page_tokens);
      const std::size_t rest = tokens % page_tokens * geometry.head_dim;
      if (rest == 0) continue;
      const NaivePage& cut = *table.back();
      NaivePage open;
      open.keys.assign(cut.keys.begin(), cut.keys.begin() + static_cast<std::ptrdiff_t>(rest));
      open.values.assign(cut.values.begin(), cut.values.begin() + static_cast<std::ptrdiff_t>(rest));
      table.back() = std::make_shared<NaivePage>(std::move(open));
    }
    std::ranges::fill(sequence.tokens, tokens);
  }

  NaivePage& page(SequenceId id, const PageName& name) {
    return *sequences.at(id.value).tables[name.layer * geometry.num_kv_heads + name.kv_head][name.page];
  }
  void promote(SequenceId id, const PageName& name, PageLevel keys, PageLevel values) {
    NaivePage& of = page(id, name);
    of.key_planes = std::max(of.key_planes, keys == PageLevel::exact ? 1 : static_cast<std::size_t>(keys));
    of.value_planes = std::max(of.value_planes, values == PageLevel::exact ? 1 : static_cast<std::size_t>(values));
    of.key_level = std::max(of.key_level, keys);
    of.value_level = std::max(of.value_level, values);
  }
  void demote(SequenceId id, const PageName& name, PageLevel keys, PageLevel values) {
    NaivePage& of = page(id, name);
    const auto lower = [](PageLevel to, PageLevel& level, std::size_t& planes) {
      if (to == PageLevel::exact) return;
      planes = std::min(planes, static_cast<std::size_t>(to));
      level = std::min(level, static_cast<PageLevel>(planes));
    };
    const bool was_exact[2] = {of.key_level == PageLevel::exact, of.value_level == PageLevel::exact};
    lower(keys, of.key_level, of.key_planes);
    lower(values, of.value_level, of.value_planes);
    if (was_exact[0] && keys != PageLevel::exact) of.key_level = static_cast<PageLevel>(of.key_planes);
    if (was_exact[1] && values != PageLevel::exact) of.value_level = static_cast<PageLevel>(of.value_planes);
  }

  /// What a cache on this device must hold, by counting.
  KvUsage count(Device device) const {
    KvUsage usage;
    std::set<const NaivePage*> seen;
    for (const auto& [id, sequence] : sequences) {
      for (const std::size_t entries : sequence.capacities) usage.table_entries += entries;
      for (const Table& table : sequence.tables)
        for (const auto& page : table) {
          if (!seen.insert(page.get()).second) continue;
          ++usage.pages;
          usage.planes += page->key_planes + page->value_planes;
          const bool on_cpu = device == Device::cpu;
          usage.host_exact += page->exact_numbers && (page->sealed || on_cpu) ? 2 : 0;
          if (on_cpu) continue;
          usage.device_exact += page->key_level == PageLevel::exact ? 1 : 0;
          usage.device_exact += page->value_level == PageLevel::exact ? 1 : 0;
        }
    }
    return usage;
  }

  KvGeometry geometry;
  KvCacheOptions options;
  std::map<std::uint64_t, Sequence> sequences;

 private:
  static std::size_t capacity(std::size_t pages) {
    return pages == 0 ? 0 : std::max<std::size_t>(8, std::bit_ceil(pages));
  }
  void seal(NaivePage& page) const {
    page.sealed = true;
    page.key_level = options.key_level;
    page.value_level = options.value_level;
    page.key_planes = static_cast<std::size_t>(options.key_level);
    page.value_planes = static_cast<std::size_t>(options.value_level);
  }
};

/// Whether one view shows one page: its numbers, and with `codes` planes and metadata as the quantizer makes them.
inline testing::AssertionResult shows(const kernels::Context& context, const kernels::KvPage& view,
                                      const NaivePage& page, const KvGeometry& geometry, bool codes) {
  const auto wrong = [](const char* what) { return testing::AssertionFailure() << what; };
  const std::size_t dim = geometry.head_dim, tokens = page.keys.size() / dim, plane_words = page_tokens * dim / 8;
  if (view.tokens != tokens) return wrong("tokens");
  if (view.key_level != page.key_level || view.value_level != page.value_level) return wrong("level");
  if ((view.exact_keys != nullptr) != page.exact_numbers) return wrong("exact numbers");
  for (std::size_t b = 0; b < 5; ++b)
    if (((b < 3 ? view.key_planes[b] : view.value_planes[b - 3]) != nullptr) !=
        (b < 3 ? b < page.key_planes : b - 3 < page.value_planes))
      return wrong("planes");
  if (!codes) return testing::AssertionSuccess();
  if (page.exact_numbers && (download<std::uint16_t>(context, view.exact_keys, page.keys.size()) != page.keys ||
                             download<std::uint16_t>(context, view.exact_values, page.values.size()) != page.values))
    return wrong("an exact number");
  std::vector<std::uint32_t> planes(5 * plane_words);
  std::vector<std::byte> metadata(kernels::page_metadata_bytes(dim));
  std::memcpy(metadata.data(), &view.generation, sizeof(view.generation));
  kernels::PageToQuantize made{.keys = page.keys.data(), .values = page.values.data(), .metadata = metadata.data()};
  for (std::size_t b = 0; b < 3; ++b) made.key_planes[b] = planes.data() + b * plane_words;
  for (std::size_t b = 0; b < 2; ++b) made.value_planes[b] = planes.data() + (3 + b) * plane_words;
  if (page.sealed)
    kernels::quantize_page({}, geometry.type, dim, {&made, 1});
  else
    kernels::summarize_page({}, geometry.type, dim, made, tokens);
  // An open page has no steps and zeros: what lies between its summary and the norms of its values is nobody's.
  const std::vector<std::byte> held = download(context, view.metadata, metadata.size());
  const auto summary = static_cast<std::ptrdiff_t>(kernels::page_summary_bytes);
  const auto between = static_cast<std::ptrdiff_t>(page.sealed ? 0 : 4 * dim * sizeof(kernels::Half));
  if (!std::equal(metadata.begin(), metadata.begin() + summary, held.begin()) ||
      !std::equal(metadata.begin() + summary + between, metadata.end(), held.begin() + summary + between))
    return wrong("metadata");
  for (std::size_t b = 0; b < 5; ++b) {
    const std::uint32_t* plane = b < 3 ? view.key_planes[b] : view.value_planes[b - 3];
    if (plane == nullptr) continue;
    const auto codes_held = download<std::uint32_t>(context, plane, plane_words);
    if (!std::ranges::equal(codes_held, std::span(planes).subspan(b * plane_words, plane_words)))
      return wrong("a code");
  }
  return testing::AssertionSuccess();
}

/// The cache holds what the naive one does, in the bytes of the formula, and the ledger knows all of them.
/// @param codes  also quantizes all pages again, which takes most of the time
inline void expect_same(const PagedKvCache& cache, const NaiveCache& naive, const Account& account, bool codes = true) {
  const kernels::Context& context = cache.context();
  std::map<std::uint32_t, const NaivePage*> generations;
  for (const auto& [id, sequence] : naive.sequences) {
    for (std::size_t t = 0; t < sequence.tables.size(); ++t) {
      const std::size_t layer = t / naive.geometry.num_kv_heads, head = t % naive.geometry.num_kv_heads;
      ASSERT_EQ(cache.tokens({id}, layer), sequence.tokens[layer]);
      const auto views = cache.pages({id}, layer, head);
      ASSERT_EQ(views.size(), sequence.tables[t].size());
      const auto table = download(context, cache.block_table({id}, layer, head), views.size_bytes());
      ASSERT_TRUE(std::ranges::equal(table, std::as_bytes(views)));
      for (std::size_t p = 0; p < views.size(); ++p) {
        const NaivePage* page = sequence.tables[t][p].get();
        ASSERT_TRUE(shows(context, views[p], *page, naive.geometry, codes)) << "table " << t << ", page " << p;
        ASSERT_NE(views[p].generation, 0U);
        ASSERT_EQ(generations.try_emplace(views[p].generation, page).first->second, page);
      }
    }
  }
  const KvUsage usage = cache.usage(), expected = naive.count(context.device);
  EXPECT_EQ(usage.pages, expected.pages);
  EXPECT_EQ(usage.planes, expected.planes);
  EXPECT_EQ(usage.host_exact, expected.host_exact);
  EXPECT_EQ(usage.device_exact, expected.device_exact);
  EXPECT_EQ(usage.table_entries, expected.table_entries);
  EXPECT_EQ(usage.data, kv_data_bytes(context.device, naive.geometry, expected));
  EXPECT_EQ(usage.tables, kv_table_bytes(context.device, expected));
  EXPECT_EQ(usage.total(), account.committed());
}

/// Normal numbers as float16, which are numbers of bfloat16 too.
inline Numbers random_numbers(std::mt19937_64& random, std::size_t n) {
  std::normal_distribution<float> normal;
  Numbers numbers(n);
  for (std::uint16_t& number : numbers) number = kernels::nearest_half(static_cast<double>(normal(random))).bits;
  return numbers;
}

}  // namespace mpp::llm

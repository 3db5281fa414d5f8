#include <mpp/llm/paged_kv_cache.hpp>

#include <algorithm>
#include <atomic>

#include "kv_append.hpp"
#include "kv_truncate.hpp"

namespace mpp::llm {
namespace {

using kernels::PageLevel;

void check_geometry(const KvGeometry& geometry) {
  expects<ShapeError>(geometry.layers >= 1 && geometry.layers <= most_layers, "PagedKvCache: layers is ",
                      geometry.layers, ", expected 1 to ", most_layers);
  expects<ShapeError>(geometry.num_kv_heads >= 1 && geometry.num_kv_heads <= most_kv_heads,
                      "PagedKvCache: num_kv_heads is ", geometry.num_kv_heads, ", expected 1 to ", most_kv_heads);
  expects<ShapeError>(
      geometry.head_dim > 0 && geometry.head_dim % 32 == 0 && geometry.head_dim <= kernels::max_head_dim,
      "PagedKvCache: head_dim is ", geometry.head_dim, ", expected a multiple of 32, at most ", kernels::max_head_dim);
  expects<ValueError>(geometry.type == kernels::KvType::float16 || geometry.type == kernels::KvType::bfloat16,
                      "PagedKvCache: type is ", static_cast<int>(geometry.type), ", expected float16 or bfloat16");
}

void check_options(const KvCacheOptions& options) {
  constexpr std::size_t most_slots = 65536;
  expects<ValueError>(options.key_level >= PageLevel::bits4 && options.key_level <= PageLevel::bits12,
                      "PagedKvCache: key_level is ", static_cast<int>(options.key_level),
                      ", expected bits4, bits8 or bits12");
  expects<ValueError>(options.value_level == PageLevel::bits4 || options.value_level == PageLevel::bits8,
                      "PagedKvCache: value_level is ", static_cast<int>(options.value_level),
                      ", expected bits4 or bits8");
  expects<ValueError>(options.slab_slots >= 1 && options.slab_slots <= most_slots, "PagedKvCache: slab_slots is ",
                      options.slab_slots, ", expected 1 to ", most_slots);
}

std::uint64_t next_sequence_number() noexcept {
  static std::atomic<std::uint64_t> last{0};
  return ++last;
}

}  // namespace

PagedKvCache::PagedKvCache(const kernels::Context& context, const KvGeometry& geometry, Account account,
                           const KvCacheOptions& options) {
  check_geometry(geometry);
  check_options(options);
  state_ = std::make_unique<KvCacheState>(context, geometry, account, options);
}

PagedKvCache::~PagedKvCache() = default;

std::variant<SequenceId, Denial> PagedKvCache::open() {
  const std::uint64_t number = next_sequence_number();
  auto denial = state_->attempt(
      [&] { state_->sequences.try_emplace(number, state_->geometry, &state_->list_memory, &state_->table_memory); });
  if (denial) return *std::move(denial);
  return SequenceId{number};
}

std::variant<SequenceId, Denial> PagedKvCache::fork(SequenceId sequence) {
  const KvSequence& from = state_->sequence(sequence, "fork");
  const std::uint64_t number = next_sequence_number();
  auto denial = state_->attempt([&] {
    KvSequence copy(state_->geometry, &state_->list_memory, &state_->table_memory);
    CopyBatch copies(state_->context);
    for (std::size_t t = 0; t < copy.tables.size(); ++t) {
      BlockTable& table = copy.tables[t];
      table.move_into(table.room_for(from.tables[t].size(), state_->context, state_->tables));
      table.share(from.tables[t]);
      table.upload(0, table.size(), copies);
    }
    copies.flush();
    copy.tokens = from.tokens;
    state_->sequences.try_emplace(number, std::move(copy));
  });
  if (denial) return *std::move(denial);
  return SequenceId{number};
}

void PagedKvCache::free(SequenceId sequence) {
  static_cast<void>(state_->sequence(sequence, "free"));
  state_->sequences.erase(sequence.value);
  state_->store.settle();
}

std::optional<Denial> PagedKvCache::append(SequenceId sequence, std::size_t layer, std::span<const std::uint16_t> keys,
                                           std::span<const std::uint16_t> values) {
  static_cast<void>(state_->checked_table(sequence, layer, 0, "append"));
  const std::size_t row = state_->geometry.num_kv_heads * state_->geometry.head_dim;
  expects<ShapeError>(!keys.empty() && keys.size() % row == 0, "PagedKvCache::append: keys has ", keys.size(),
                      " values, expected a positive multiple of num_kv_heads x head_dim = ", row);
  expects<ShapeError>(values.size() == keys.size(), "PagedKvCache::append: values has ", values.size(),
                      " values, keys has ", keys.size());
  return state_->attempt([&] {
    expect_finite(*state_, keys, "keys");
    expect_finite(*state_, values, "values");
    KvAppend append(*state_, state_->sequence(sequence, "append"), layer, keys, values);
    append.acquire();
    append.fill();
    append.commit();
  });
}

std::optional<Denial> PagedKvCache::truncate(SequenceId sequence, std::size_t tokens) {
  KvSequence& of = state_->sequence(sequence, "truncate");
  const auto shortest = std::ranges::min_element(of.tokens);
  expects<ValueError>(tokens <= *shortest, "PagedKvCache::truncate: tokens is ", tokens, ", but layer ",
                      shortest - of.tokens.begin(), " has ", *shortest);
  return state_->attempt([&] {
    KvTruncate truncate(*state_, of, tokens);
    truncate.prepare();
    truncate.commit();
  });
}

void PagedKvCache::trim() noexcept { state_->store.trim(); }

std::size_t PagedKvCache::tokens(SequenceId sequence, std::size_t layer) const {
  static_cast<void>(state_->checked_table(sequence, layer, 0, "tokens"));
  return state_->sequence(sequence, "tokens").tokens[layer];
}

std::span<const kernels::KvPage> PagedKvCache::pages(SequenceId sequence, std::size_t layer,
                                                     std::size_t kv_head) const {
  return state_->checked_table(sequence, layer, kv_head, "pages").views();
}

const kernels::KvPage* PagedKvCache::block_table(SequenceId sequence, std::size_t layer, std::size_t kv_head) const {
  return state_->checked_table(sequence, layer, kv_head, "block_table").device_views();
}

const kernels::Context& PagedKvCache::context() const noexcept { return state_->context; }
const KvGeometry& PagedKvCache::geometry() const noexcept { return state_->geometry; }

KvUsage PagedKvCache::usage() const noexcept {
  KvUsage usage = state_->store.count();
  for (const auto& [id, sequence] : state_->sequences)
    for (const BlockTable& table : sequence.tables) usage.table_entries += table.capacity();
  usage.data = state_->data.used();
  usage.spare = state_->data.unused();
  usage.tables = state_->tables.reserved();
  usage.bookkeeping = state_->bookkeeping.reserved();
  return usage;
}

}  // namespace mpp::llm

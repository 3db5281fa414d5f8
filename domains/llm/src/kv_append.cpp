#include "kv_append.hpp"

#include <algorithm>

namespace mpp::llm {

using kernels::page_tokens;

KvAppend::KvAppend(KvCacheState& cache, KvSequence& sequence, std::size_t layer, std::span<const std::uint16_t> keys,
                   std::span<const std::uint16_t> values)
    : cache_(cache), sequence_(sequence), layer_(layer), heads_(cache.geometry.num_kv_heads),
      row_bytes_(cache.geometry.head_dim * sizeof(std::uint16_t)), before_(sequence.tokens[layer]),
      after_(before_ + keys.size() / (heads_ * cache.geometry.head_dim)), first_page_(before_ / page_tokens),
      end_page_((after_ + page_tokens - 1) / page_tokens), input_{keys, values}, rooms_(&cache.list_memory),
      made_(&cache.list_memory), staging_(&cache.list_memory), batch_(&cache.list_memory) {}

std::size_t KvAppend::tokens_of(std::size_t p) const noexcept {
  return std::min(after_ - p * page_tokens, page_tokens);
}

// The page that was open before, if p is its place.
Page* KvAppend::open_page(std::size_t p, std::size_t head) const noexcept {
  if (p != first_page_ || before_ % page_tokens == 0) return nullptr;
  return cache_.table(sequence_, layer_, head).page(p);
}

// Whether its memory may be written, and becomes that of the page that takes its place.
bool KvAppend::takes_over(std::size_t p, std::size_t head) const noexcept {
  const Page* open = open_page(p, head);
  return open != nullptr && open->references == 1;
}

void KvAppend::acquire() {
  rooms_.reserve(heads_);
  made_.resize(pages() * heads_);
  bool seals = false;
  for (std::size_t head = 0; head < heads_; ++head) {
    rooms_.push_back(cache_.table(sequence_, layer_, head).room_for(end_page_, cache_.context, cache_.tables));
    for (std::size_t p = first_page_; p < end_page_; ++p) {
      const bool full = tokens_of(p) == page_tokens;
      seals = seals || full;
      if (full)
        made(p, head) = cache_.store.make_sealed(!(cache_.store.one_memory() && takes_over(p, head)));
      else if (!takes_over(p, head))
        made(p, head) = cache_.store.make_open(true);
    }
  }
  batch_.reserve(heads_);
  if (!seals || cache_.store.one_memory()) return;
  staging_.resize(2 * heads_);
  for (Slot& slot : staging_) slot = cache_.store.acquire_device_exact();
}

KvAppend::Target KvAppend::target(std::size_t p, std::size_t head) noexcept {
  const Slot* slots = nullptr;
  if (takes_over(p, head))
    slots = PageStore::open_exact(*open_page(p, head));
  else if (made(p, head)->sealed && !cache_.store.one_memory())
    slots = &staging_[2 * head];
  else
    slots = PageStore::open_exact(*made(p, head));
  return {{slots[0].address(), slots[1].address()}, takes_over(p, head)};
}

// Rows of the input, and before them those of an open page that others share.
void KvAppend::write_tokens(std::size_t p, std::size_t head, const Target& target, CopyBatch& copies) const {
  const std::size_t begin = std::max(before_, p * page_tokens), end = p * page_tokens + tokens_of(p);
  const Page* open = open_page(p, head);
  for (std::size_t which = 0; which < 2; ++which) {
    if (open != nullptr && !target.is_open_page)
      copies.add(open->exact_address(which), target.exact[which], open->tokens * row_bytes_);
    for (std::size_t token = begin; token < end; ++token)
      copies.add(input_[which].data() + ((token - before_) * heads_ + head) * cache_.geometry.head_dim,
                 target.exact[which] + token % page_tokens * row_bytes_, row_bytes_);
  }
}

void KvAppend::seal(std::size_t p, CopyBatch& copies) {
  batch_.clear();
  for (std::size_t head = 0; head < heads_; ++head) {
    const Target from = target(p, head);
    batch_.push_back(cache_.store.to_quantize(*made(p, head), from.exact[0], from.exact[1]));
    if (cache_.store.one_memory()) continue;
    for (std::size_t which = 0; which < 2; ++which)
      copies.add(from.exact[which], made(p, head)->exact[which].address(), page_tokens * row_bytes_);
  }
  cache_.store.quantize(batch_);
  copies.flush();
}

void KvAppend::fill() {
  CopyBatch copies(cache_.context);
  for (std::size_t p = first_page_; p < end_page_; ++p) {
    for (std::size_t head = 0; head < heads_; ++head) write_tokens(p, head, target(p, head), copies);
    copies.flush();
    if (tokens_of(p) == page_tokens) {
      seal(p, copies);
      continue;
    }
    batch_.clear();
    bool in_place = true;
    for (std::size_t head = 0; head < heads_; ++head) {
      const Target from = target(p, head);
      in_place = in_place && !made(p, head);
      const Page& page = made(p, head) ? *made(p, head) : *open_page(p, head);
      batch_.push_back(cache_.store.to_quantize(page, from.exact[0], from.exact[1]));
    }
    cache_.store.summarize(batch_, tokens_of(p), in_place ? before_ % page_tokens : 0);
  }
  cache_.store.write_tags();
}

void KvAppend::commit() {
  CopyBatch copies(cache_.context);
  for (std::size_t head = 0; head < heads_; ++head) {
    BlockTable& table = cache_.table(sequence_, layer_, head);
    const bool moved = rooms_[head].capacity > 0;
    table.move_into(std::move(rooms_[head]));
    for (std::size_t p = first_page_; p < end_page_; ++p) {
      PageRef& page = made(p, head);
      if (!page) {
        table.page(p)->tokens = static_cast<std::uint32_t>(tokens_of(p));
        table.refresh(p);
        continue;
      }
      page->tokens = static_cast<std::uint32_t>(tokens_of(p));
      if (page->sealed && cache_.store.one_memory() && takes_over(p, head))
        std::swap_ranges(page->exact, page->exact + 2, table.page(p)->exact);
      table.set(p, std::move(page));
    }
    table.upload(moved ? 0 : first_page_, end_page_, copies);
  }
  sequence_.tokens[layer_] = after_;
  copies.flush();
}

namespace {

[[noreturn]] void refuse(const KvGeometry& geometry, const char* argument, std::size_t at, bool infinite) {
  const std::size_t dim = geometry.head_dim, heads = geometry.num_kv_heads;
  throw ValueError(text("PagedKvCache::append: ", argument, " of token ", at / (dim * heads), ", KV head ",
                        at / dim % heads, ", channel ", at % dim, " is ", infinite ? "infinite" : "NaN",
                        ", expected a finite number"));
}

}  // namespace

void expect_finite(const KvCacheState& cache, std::span<const std::uint16_t> numbers, const char* argument) {
  const std::uint16_t exponent = cache.geometry.type == kernels::KvType::float16 ? 0x7C00U : 0x7F80U;
  const std::span<std::byte> staging = cache.staging.span();
  const std::size_t together = staging.empty() ? numbers.size() : staging.size() / sizeof(std::uint16_t);
  for (std::size_t first = 0; first < numbers.size(); first += together) {
    std::span<const std::uint16_t> part = numbers.subspan(first, std::min(together, numbers.size() - first));
    if (!staging.empty()) {
      const kernels::CopyItem item{reinterpret_cast<const std::byte*>(part.data()), staging.data(), part.size_bytes()};
      kernels::paged_copy(cache.context, {&item, 1});
      part = {reinterpret_cast<const std::uint16_t*>(staging.data()), part.size()};
    }
    const auto bad = std::ranges::find_if(part, [&](std::uint16_t bits) { return (bits & exponent) == exponent; });
    if (bad != part.end())
      refuse(cache.geometry, argument, first + static_cast<std::size_t>(bad - part.begin()),
             (*bad & ~(exponent | 0x8000U)) == 0);
  }
}

}  // namespace mpp::llm

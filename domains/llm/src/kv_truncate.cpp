#include "kv_truncate.hpp"

#include <utility>

namespace mpp::llm {

using kernels::page_tokens;

KvTruncate::KvTruncate(KvCacheState& cache, KvSequence& sequence, std::size_t tokens)
    : cache_(cache), sequence_(sequence), tokens_(tokens), rest_(tokens % page_tokens),
      row_bytes_(cache.geometry.head_dim * sizeof(std::uint16_t)), made_(&cache.list_memory) {}

Page& KvTruncate::cut_page(std::size_t table) const noexcept {
  return *sequence_.tables[table].page(tokens_ / page_tokens);
}

bool KvTruncate::cuts(std::size_t table) const noexcept {
  return rest_ > 0 && sequence_.tokens[table / cache_.geometry.num_kv_heads] > tokens_;
}

// Whether the exact numbers are where those of an open page belong, and nobody else needs them.
bool KvTruncate::takes_over(const Page& cut) const noexcept {
  return cut.references == 1 && (cache_.store.one_memory() || (cut.device_exact[0] && cut.device_exact[1]));
}

void KvTruncate::prepare() {
  if (rest_ == 0) return;
  CopyBatch copies(cache_.context);
  made_.resize(sequence_.tables.size());
  for (std::size_t table = 0; table < made_.size(); ++table) {
    if (!cuts(table)) continue;
    const Page& cut = cut_page(table);
    const std::byte* exact[2] = {cut.exact_address(0), cut.exact_address(1)};
    expects<ValueError>(exact[0] != nullptr && exact[1] != nullptr, "PagedKvCache::truncate: ", tokens_,
                        " tokens end in page ", tokens_ / page_tokens, " of layer ",
                        table / cache_.geometry.num_kv_heads, ", KV head ", table % cache_.geometry.num_kv_heads,
                        ", whose exact numbers were dropped");
    made_[table] = cache_.store.make_open(!takes_over(cut));
    Page& page = *made_[table];
    page.tokens = static_cast<std::uint32_t>(rest_);
    if (!takes_over(cut)) {
      for (std::size_t which = 0; which < 2; ++which) {
        copies.add(exact[which], page.exact_address(which), rest_ * row_bytes_);
        exact[which] = page.exact_address(which);
      }
      copies.flush();
    }
    const kernels::PageToQuantize open = cache_.store.to_quantize(page, exact[0], exact[1]);
    cache_.store.summarize({&open, 1}, rest_, 0);
  }
  cache_.store.write_tags();
}

void KvTruncate::commit() {
  CopyBatch copies(cache_.context);
  const std::size_t whole = tokens_ / page_tokens, pages = whole + (rest_ > 0 ? 1 : 0);
  for (std::size_t t = 0; t < sequence_.tables.size(); ++t) {
    BlockTable& table = sequence_.tables[t];
    if (cuts(t)) {
      Page& cut = cut_page(t);
      if (takes_over(cut)) {
        const bool host = cache_.store.one_memory();
        for (std::size_t which = 0; which < 2; ++which)
          std::swap(host ? made_[t]->exact[which] : made_[t]->device_exact[which],
                    host ? cut.exact[which] : cut.device_exact[which]);
      }
      table.set(whole, std::move(made_[t]));
      table.upload(whole, pages, copies);
    }
    if (table.size() > pages) table.shrink(pages);
  }
  for (std::size_t& tokens : sequence_.tokens) tokens = tokens_;
  copies.flush();
}

}  // namespace mpp::llm

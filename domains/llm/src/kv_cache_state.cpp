#include "kv_cache_state.hpp"

#include <mpp/kernels/attend_paged.hpp>

namespace mpp::llm {

KvSequence& KvCacheState::sequence(SequenceId id, const char* operation) {
  const auto found = sequences.find(id.value);
  expects<ValueError>(found != sequences.end(), "PagedKvCache::", operation, ": sequence ", id.value,
                      " is unknown: it was freed, or is of another cache");
  return found->second;
}

BlockTable& KvCacheState::checked_table(SequenceId id, std::size_t layer, std::size_t kv_head, const char* operation) {
  KvSequence& of = sequence(id, operation);
  expects<ValueError>(layer < geometry.layers, "PagedKvCache::", operation, ": layer is ", layer, ", expected below ",
                      geometry.layers);
  expects<ValueError>(kv_head < geometry.num_kv_heads, "PagedKvCache::", operation, ": kv_head is ", kv_head,
                      ", expected below ", geometry.num_kv_heads);
  return table(of, layer, kv_head);
}

Page& KvCacheState::sealed_page(SequenceId id, const PageName& name, const char* operation) {
  const BlockTable& pages = checked_table(id, name.layer, name.kv_head, operation);
  expects<ValueError>(name.page < pages.size(), "PagedKvCache::", operation, ": page is ", name.page,
                      ", expected below ", pages.size());
  Page& page = *pages.page(name.page);
  expects<kernels::StalePage>(name.generation == 0 || name.generation == page.generation, "PagedKvCache::", operation,
                              ": page ", name.page, " has generation ", page.generation, ", its name says ",
                              name.generation);
  expects<ValueError>(page.sealed, "PagedKvCache::", operation, ": page ", name.page, " is open (", page.tokens, " of ",
                      kernels::page_tokens, " tokens), expected a full one");
  return page;
}

void KvCacheState::refresh(const PageName& name, const Page& page) {
  CopyBatch copies(context);
  for (auto& [id, sequence] : sequences) {
    BlockTable& pages = table(sequence, name.layer, name.kv_head);
    if (pages.page(name.page) != &page) continue;
    pages.refresh(name.page);
    pages.upload(name.page, name.page + 1, copies);
  }
  copies.flush();
}

}  // namespace mpp::llm

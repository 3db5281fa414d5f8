#pragma once
#include "kv_cache_state.hpp"

namespace mpp::llm {

/// One call of truncate(). prepare() makes open pages of those that are cut, commit() puts them into place.
class KvTruncate {
 public:
  KvTruncate(KvCacheState& cache, KvSequence& sequence, std::size_t tokens);
  void prepare();
  void commit();

 private:
  Page& cut_page(std::size_t table) const noexcept;
  bool cuts(std::size_t table) const noexcept;
  bool takes_over(const Page& cut) const noexcept;

  KvCacheState& cache_;
  KvSequence& sequence_;
  std::size_t tokens_, rest_, row_bytes_;
  std::pmr::vector<PageRef> made_;  // [tables], null where nothing is cut
};

}  // namespace mpp::llm

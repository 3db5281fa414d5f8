#pragma once
#include <map>
#include <memory_resource>
#include <optional>
#include <utility>
#include <vector>

#include <mpp/core/error.hpp>

#include "block_table.hpp"

namespace mpp::llm {

struct KvSequence {
  KvSequence(const KvGeometry& geometry, std::pmr::memory_resource* lists, std::pmr::memory_resource* tables_memory)
      : tokens(geometry.layers, 0, lists), tables(lists) {
    tables.reserve(geometry.layers * geometry.num_kv_heads);
    for (std::size_t i = 0; i < geometry.layers * geometry.num_kv_heads; ++i) tables.emplace_back(tables_memory);
  }
  std::pmr::vector<std::size_t> tokens;  // [layers]
  std::pmr::vector<BlockTable> tables;   // [layers][num_kv_heads]
};

/// What a PagedKvCache owns. Members are destroyed from the last to the first: pages before pools before reservations.
struct KvCacheState {
  kernels::Context context;
  KvGeometry geometry;
  KvCacheOptions options;
  Reservation data, tables, bookkeeping;
  LedgerResource table_memory{tables}, list_memory{bookkeeping};
  PageStore store;
  Charge staging_charge;
  kernels::HostBytes staging;  // of numbers of a CUDA device on their way to be checked; empty on the CPU
  std::pmr::map<std::uint64_t, KvSequence> sequences{&list_memory};

  KvCacheState(const kernels::Context& on, const KvGeometry& shape, Account account, const KvCacheOptions& chosen)
      : context(on), geometry(shape), options(chosen), data(account), tables(account), bookkeeping(account),
        store(on, shape, chosen, data, &table_memory, bookkeeping, &list_memory),
        staging_charge(bookkeeping, Footprint::host({staging_bytes(on)})), staging(on, staging_bytes(on)) {
    staging_charge.use();
  }

  static std::size_t staging_bytes(const kernels::Context& on) {
    return on.device == kernels::Device::cpu ? 0 : std::size_t{1} << 16;
  }
  [[nodiscard]] KvSequence& sequence(SequenceId id, const char* operation);
  [[nodiscard]] BlockTable& table(KvSequence& of, std::size_t layer, std::size_t kv_head) const {
    return of.tables[layer * geometry.num_kv_heads + kv_head];
  }
  [[nodiscard]] BlockTable& checked_table(SequenceId id, std::size_t layer, std::size_t kv_head, const char* operation);
  /// A sealed page, of the generation that its name has. @throws ValueError, StalePage
  [[nodiscard]] Page& sealed_page(SequenceId id, const PageName& name, const char* operation);
  /// After a page has changed: in the block tables of all who share it, where it has the same place.
  void refresh(const PageName& name, const Page& page);

  /// Runs `operation`, which changes the cache only when nothing can fail any more; what it took goes back if it fails.
  template <class Operation>
  std::optional<Denial> attempt(Operation&& operation) {
    try {
      operation();
    } catch (LedgerDenied& denied) {
      store.undo();
      return std::move(denied.denial);
    } catch (...) {
      store.undo();
      throw;
    }
    store.keep();
    return std::nullopt;
  }
};

}  // namespace mpp::llm

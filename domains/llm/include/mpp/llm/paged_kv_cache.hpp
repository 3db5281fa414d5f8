#pragma once
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <variant>

#include <mpp/core/memory/denial.hpp>
#include <mpp/core/memory/ledger.hpp>
#include <mpp/kernels/context.hpp>
#include <mpp/kernels/kv_page.hpp>
#include <mpp/llm/kv_geometry.hpp>

namespace mpp::llm {

struct KvCacheState;

/// Handle of one sequence of tokens. No two of a process are alike, so one that was freed, or belongs to another cache, is
/// refused and never mistaken for a newer sequence.
struct SequenceId {
  std::uint64_t value = 0;
  friend bool operator==(SequenceId, SequenceId) noexcept = default;
};

/// One page of one KV head of a sequence. Tokens kernels::page_tokens * page and on.
struct PageName {
  std::size_t layer = 0;
  std::size_t kv_head = 0;
  std::size_t page = 0;
  std::uint32_t generation = 0;  ///< that the caller has seen, or 0: whatever page is there
};

struct KvCacheOptions {
  /// What a page is coded with when it fills: bits4, bits8 or bits12, and bits4 or bits8 for values.
  kernels::PageLevel key_level = kernels::PageLevel::bits8;
  kernels::PageLevel value_level = kernels::PageLevel::bits4;
  std::size_t slab_slots = 16;  ///< memory is taken from the ledger for so many pieces of a kind at a time
};

/// The keys and values of many sequences, in pages of several precisions, every byte in the ledger.
///
/// A page is kernels::page_tokens tokens of one KV head of one layer. The last, open page of a sequence is exact. When it
/// fills it is sealed: coded into planes (K8 and V4 unless the options say otherwise), and its exact keys and values move to
/// host memory. From those any plane can be made again, so demotion is free and promotion needs no other source.
///
///   what                                        CPU      CUDA
///   metadata, planes, open and promoted pages   host     device
///   exact numbers of sealed pages               host     host, pinned; a kernel can read them where they lie
///   records of pages, block tables              host     host, and a copy of the block tables on the device
///
/// On the CPU an exact page stays where it is, so promoting one to `exact` takes no bytes: it only says what reads use.
/// Bytes are those of kv_data_bytes() and kv_table_bytes(), of what usage() counts, to the byte. Memory is taken in slabs;
/// what is freed is spare until trim().
///
/// fork() shares all pages. Shared pages are charged once and never changed: a sequence that appends to or truncates a page
/// it shares gets one of its own. promote() and demote() act for all who share a page.
///
/// Whatever takes memory of a page away gives it a new generation: KvPage of before throws StalePage when it is read. So
/// does a PageName of before. A call that returns a Denial, or throws for its arguments, has changed nothing.
///
/// One thread changes a cache at a time, and nobody reads it meanwhile. Reading is const and may be shared.
/// Tested by: tests/domains/llm/paged_kv_cache_test.cpp
class PagedKvCache {
 public:
  /// Opens reservations under `account`, whose ledger must outlive the cache.
  /// @throws ValueError, ShapeError for geometry and options; BackendUnavailable; std::bad_alloc if the ledger has no room for
  ///         an empty cache (1 KiB, on CUDA 65 KiB)
  PagedKvCache(const kernels::Context& context, const KvGeometry& geometry, Account account,
               const KvCacheOptions& options = {});
  ~PagedKvCache();
  PagedKvCache(const PagedKvCache&) = delete;
  PagedKvCache& operator=(const PagedKvCache&) = delete;

  /// A sequence without tokens.
  [[nodiscard]] std::variant<SequenceId, Denial> open();
  /// A sequence with the tokens of another one, whose pages it shares.
  [[nodiscard]] std::variant<SequenceId, Denial> fork(SequenceId sequence);
  void free(SequenceId sequence);

  /// Adds n >= 1 tokens to one layer. Memory of the context's device.
  /// @param keys, values  [n][num_kv_heads][head_dim], numbers of the geometry's type
  /// @throws ShapeError; ValueError for NaN and infinity, naming token, KV head and channel
  [[nodiscard]] std::optional<Denial> append(SequenceId sequence, std::size_t layer,
                                             std::span<const std::uint16_t> keys,
                                             std::span<const std::uint16_t> values);
  /// Drops all tokens from `tokens` on, in all layers. A sealed page that is cut becomes an open one again.
  /// @throws ValueError if a layer has fewer tokens, or the exact numbers of a page that is cut were dropped
  [[nodiscard]] std::optional<Denial> truncate(SequenceId sequence, std::size_t tokens);

  /// Adds what a sealed page lacks to be read at these levels: planes, or exact numbers. Never takes anything away.
  /// @throws ValueError for an open page, for bits12 values, for omitted beside another level, and where planes are missing
  ///         whose exact numbers were dropped; StalePage
  [[nodiscard]] std::optional<Denial> promote(SequenceId sequence, const PageName& page, kernels::PageLevel keys,
                                              kernels::PageLevel values);
  /// Takes away what a sealed page has above these levels. Both omitted: evicts it, reads then only bound it.
  /// @throws ValueError as promote(); StalePage
  void demote(SequenceId sequence, const PageName& page, kernels::PageLevel keys, kernels::PageLevel values);
  /// Gives up the exact numbers of a sealed page. What it has besides is then all that it will ever be.
  /// @throws ValueError for an open page and one that is read exactly; StalePage
  void drop_exact(SequenceId sequence, const PageName& page);
  /// Gives spare memory back to the ledger. Stale views are not told after this: their memory is gone.
  void trim() noexcept;

  [[nodiscard]] std::size_t tokens(SequenceId sequence, std::size_t layer) const;
  /// All pages of one KV head, at the highest levels they have. Host memory; valid until the cache is changed. Every pointer
  /// that there is is set, so that a reader may lower the levels, or read exact numbers, in a copy.
  [[nodiscard]] std::span<const kernels::KvPage> pages(SequenceId sequence, std::size_t layer,
                                                       std::size_t kv_head) const;
  /// The same in the memory of the context's device, for KvRead::pages.
  [[nodiscard]] const kernels::KvPage* block_table(SequenceId sequence, std::size_t layer, std::size_t kv_head) const;

  [[nodiscard]] const kernels::Context& context() const noexcept;
  [[nodiscard]] const KvGeometry& geometry() const noexcept;
  [[nodiscard]] KvUsage usage() const noexcept;  ///< total() is what the ledger has granted

 private:
  std::unique_ptr<KvCacheState> state_;
};

}  // namespace mpp::llm

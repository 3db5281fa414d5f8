#pragma once
#include <array>
#include <memory_resource>
#include <utility>

#include <mpp/kernels/quantize_page.hpp>
#include <mpp/llm/kv_geometry.hpp>
#include <mpp/llm/paged_kv_cache.hpp>

#include "copy_batch.hpp"
#include "slot_pool.hpp"

namespace mpp::llm {

class PageStore;

/// One page of one KV head: an open one, exact and below 64 tokens, or a sealed one, full and with codes. Shared by all
/// sequences that hold a PageRef.
struct Page {
  PageStore* store = nullptr;
  Page* next_retired = nullptr;
  std::uint32_t references = 0;
  std::uint32_t generation = 0;  ///< also in its metadata; another one when any memory of the page is given up
  std::uint32_t tokens = 0;
  bool sealed = false;
  bool read_exact[2] = {};  ///< keys, values: promoted; always so of an open page
  Slot metadata, key_planes[3], value_planes[2];
  Slot exact[2];         ///< keys, values, in host memory
  Slot device_exact[2];  ///< the same in the memory of a CUDA device: of an open page, and where promoted

  [[nodiscard]] std::size_t key_plane_count() const noexcept;
  [[nodiscard]] std::size_t value_plane_count() const noexcept;
  /// Where the exact keys (0) or values (1) are, near the device if possible; null if nowhere.
  [[nodiscard]] std::byte* exact_address(std::size_t which) const noexcept;
  [[nodiscard]] kernels::KvPage view() const noexcept;
};
static_assert(sizeof(Page) == kv_page_record_bytes);

/// A share in a page. When the last one goes, the page is retired: its memory is free after PageStore::settle().
class PageRef {
 public:
  PageRef() noexcept = default;
  explicit PageRef(Page* page) noexcept : page_(page) { ++page_->references; }
  PageRef(const PageRef& other) noexcept : page_(other.page_) {
    if (page_ != nullptr) ++page_->references;
  }
  PageRef(PageRef&& other) noexcept : page_(std::exchange(other.page_, nullptr)) {}
  PageRef& operator=(PageRef other) noexcept {
    std::swap(page_, other.page_);
    return *this;
  }
  ~PageRef();
  Page* operator->() const noexcept { return page_; }
  Page& operator*() const noexcept { return *page_; }
  Page* get() const noexcept { return page_; }
  explicit operator bool() const noexcept { return page_ != nullptr; }

 private:
  Page* page_ = nullptr;
};
static_assert(kv_table_entry_bytes == sizeof(kernels::KvPage) + sizeof(PageRef));

/// Makes pages, and takes back what retired ones held.
class PageStore {
 public:
  PageStore(const kernels::Context& context, const KvGeometry& geometry, const KvCacheOptions& options,
            Reservation& data, std::pmr::memory_resource* records, Reservation& bookkeeping,
            std::pmr::memory_resource* lists);
  ~PageStore();

  /// Without room for exact numbers, it will be given some.
  [[nodiscard]] PageRef make_open(bool with_exact);
  [[nodiscard]] PageRef make_sealed(bool with_exact);  ///< with planes
  [[nodiscard]] bool one_memory() const noexcept { return context_.device == kernels::Device::cpu; }
  [[nodiscard]] Slot acquire_device_exact() { return device_exact_.acquire(); }
  [[nodiscard]] Slot acquire_plane() { return planes_.acquire(); }
  static Slot* open_exact(Page& page) noexcept { return page.exact[0] ? page.exact : page.device_exact; }

  /// @param known  tokens that the metadata of the pages was written for
  void summarize(std::span<const kernels::PageToQuantize> pages, std::size_t tokens, std::size_t known) {
    kernels::summarize_page(context_, geometry_.type, geometry_.head_dim, pages, tokens, known);
  }
  void quantize(std::span<const kernels::PageToQuantize> pages) {
    kernels::quantize_page(context_, geometry_.type, geometry_.head_dim, pages);
  }
  void encode(const kernels::PageToQuantize& page) {
    kernels::encode_planes(context_, geometry_.type, geometry_.head_dim, {&page, 1});
  }
  /// Metadata and planes of `page`, to be made from these exact numbers.
  [[nodiscard]] kernels::PageToQuantize to_quantize(const Page& page, const void* keys,
                                                    const void* values) const noexcept;

  void tag(Page& page);  ///< gives it a new generation, to be written to its metadata by write_tags()
  void write_tags();     ///< after this, whoever expects an older generation is told
  void retire(Page& page) noexcept;
  void settle();  ///< frees what retired pages hold, once their tags are void
  void keep();    ///< settles, and keeps slabs that were made for it
  void undo();    ///< settles, and gives them back
  void trim() noexcept;
  [[nodiscard]] KvUsage count() const noexcept;

 private:
  static constexpr std::size_t most_tags = 64;
  PageRef make();
  void write_tag(const Page& page, std::uint32_t generation);
  void destroy_retired() noexcept;

  kernels::Context context_;
  KvGeometry geometry_;
  KvCacheOptions options_;
  std::pmr::memory_resource* records_;
  Page* retired_ = nullptr;
  std::uint32_t last_generation_ = 0;
  Charge tag_charge_;
  kernels::HostBytes tag_words_;  // [most_tags], host memory: what paged_copy() copies to metadata
  std::size_t tags_ = 0;
  CopyBatch tag_copies_;
  SlotPool metadata_, planes_, host_exact_, device_exact_;
};

}  // namespace mpp::llm

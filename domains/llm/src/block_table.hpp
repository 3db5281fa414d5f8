#pragma once
#include <bit>
#include <memory_resource>
#include <vector>

#include "page_store.hpp"

namespace mpp::llm {

/// The pages of one KV head of one sequence in order, and what kernels read of them.
class BlockTable {
 public:
  /// Arrays for more pages than a table has room for.
  struct Room {
    explicit Room(std::pmr::memory_resource* memory) : pages(memory) {}
    std::size_t capacity = 0;
    Charge charge;
    kernels::HostBytes views;
    kernels::DeviceBytes device_views;
    std::pmr::vector<PageRef> pages;
  };

  explicit BlockTable(std::pmr::memory_resource* memory) : room_(memory) {}

  [[nodiscard]] std::size_t size() const noexcept { return room_.pages.size(); }
  [[nodiscard]] std::size_t capacity() const noexcept { return room_.capacity; }
  [[nodiscard]] Page* page(std::size_t p) const noexcept { return p < size() ? room_.pages[p].get() : nullptr; }
  [[nodiscard]] std::span<const kernels::KvPage> views() const noexcept { return {host(), size()}; }
  [[nodiscard]] const kernels::KvPage* device_views() const noexcept {
    return room_.device_views.size() > 0 ? static_cast<const kernels::KvPage*>(room_.device_views.data()) : host();
  }

  /// Room for `pages` pages, or none if there is enough. @throws LedgerDenied, std::bad_alloc
  [[nodiscard]] Room room_for(std::size_t pages, const kernels::Context& context, Reservation& reservation) const;
  /// Moves in. An empty room changes nothing.
  void move_into(Room&& room) noexcept;
  /// Shares all pages of another table. There is room for them.
  void share(const BlockTable& other) noexcept;

  void set(std::size_t p, PageRef page) noexcept;  ///< p <= size(), for which there is room
  void refresh(std::size_t p) noexcept { host()[p] = room_.pages[p]->view(); }  ///< after the page has changed
  void shrink(std::size_t pages) noexcept { room_.pages.resize(pages); }
  /// Copies what the kernels read of these pages to the device, once all of them are as they shall be.
  void upload(std::size_t first, std::size_t end, CopyBatch& copies) const;

 private:
  kernels::KvPage* host() const noexcept { return reinterpret_cast<kernels::KvPage*>(room_.views.data()); }
  Room room_;
};

}  // namespace mpp::llm

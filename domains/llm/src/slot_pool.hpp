#pragma once
#include <cstddef>
#include <cstdint>
#include <list>
#include <memory_resource>
#include <utility>
#include <vector>

#include <mpp/kernels/device_array.hpp>
#include <mpp/kernels/host_bytes.hpp>
#include <mpp/llm/kv_geometry.hpp>

#include "ledger_memory.hpp"

namespace mpp::llm {

class SlotPool;

/// Which memory slots are in: the device's, or host memory that the device reaches. On the CPU there is only the first.
enum class SlotMemory : std::uint8_t { device, host };

/// Several slots in one piece of memory. Its address, and that of its slots, never changes.
struct Slab {
  Slab(SlotPool& owner, std::size_t slots, std::pmr::memory_resource* bookkeeping);

  SlotPool* pool;
  Charge charge;  // before the memory: what is not claimed is not allocated
  kernels::DeviceBytes device;
  kernels::HostBytes host;
  std::pmr::vector<std::uint32_t> free;
  std::list<Slab, std::pmr::polymorphic_allocator<Slab>>::iterator self{};
  bool fresh = true;  ///< made by the operation that runs
};

/// One slot that somebody holds; its destructor puts it back into the pool. Move-only.
class Slot {
 public:
  Slot() noexcept = default;
  Slot(Slab& slab, std::uint32_t index) noexcept : slab_(&slab), index_(index) {}
  Slot(Slot&& other) noexcept : slab_(std::exchange(other.slab_, nullptr)), index_(other.index_) {}
  Slot& operator=(Slot&& other) noexcept {
    std::swap(slab_, other.slab_);
    std::swap(index_, other.index_);
    return *this;
  }
  ~Slot();
  explicit operator bool() const noexcept { return slab_ != nullptr; }
  [[nodiscard]] std::byte* address() const noexcept;  ///< null without a slot

 private:
  Slab* slab_ = nullptr;
  std::uint32_t index_ = 0;
};

/// Memory in slots of one size, taken from the ledger a slab at a time: a slab is reserved whole, and its slots are used
/// one by one. A slot that was freed stays allocated until trim(), so that whoever still reads it reads memory, whose
/// generation tag then tells that it is somebody else's.
class SlotPool {
 public:
  SlotPool(const kernels::Context& context, SlotMemory memory, std::size_t slot_bytes, std::size_t slab_slots,
           Reservation& reservation, std::pmr::memory_resource* bookkeeping)
      : context_(context), memory_(memory), slot_bytes_(slot_bytes), slab_slots_(slab_slots), reservation_(reservation),
        bookkeeping_(bookkeeping), slabs_(bookkeeping) {}
  SlotPool(const SlotPool&) = delete;
  SlotPool& operator=(const SlotPool&) = delete;

  [[nodiscard]] Slot acquire();  ///< @throws LedgerDenied, std::bad_alloc; nothing has changed then
  void trim() noexcept;          ///< gives slabs without a slot in use back
  void keep_fresh() noexcept;    ///< what was made since the last call stays
  void undo_fresh() noexcept;    ///< or is given back, where no slot of it is in use

  [[nodiscard]] std::size_t used() const noexcept { return used_; }

 private:
  friend struct Slab;
  friend class Slot;
  void release(Slab& slab, std::uint32_t index) noexcept;
  Footprint bytes(std::size_t slots) const noexcept {
    const MemorySpace space = memory_ == SlotMemory::host ? MemorySpace::host : plane_space(context_.device);
    return Footprint::of(space, Bytes{slot_bytes_} * slots);
  }

  kernels::Context context_;
  SlotMemory memory_;
  std::size_t slot_bytes_, slab_slots_, used_ = 0, fresh_ = 0;
  Reservation& reservation_;
  std::pmr::memory_resource* bookkeeping_;
  std::list<Slab, std::pmr::polymorphic_allocator<Slab>> slabs_;  // those with free slots first
};

}  // namespace mpp::llm

#include "slot_pool.hpp"

namespace mpp::llm {

Slab::Slab(SlotPool& owner, std::size_t slots, std::pmr::memory_resource* bookkeeping)
    : pool(&owner), charge(owner.reservation_, owner.bytes(slots)), free(bookkeeping) {
  const std::size_t bytes = owner.slot_bytes_ * slots;
  if (owner.memory_ == SlotMemory::host)
    host = kernels::HostBytes(owner.context_, bytes);
  else
    device = kernels::DeviceBytes(owner.context_, bytes);
  free.reserve(slots);  // release() must not allocate
  for (std::size_t slot = slots; slot > 0; --slot) free.push_back(static_cast<std::uint32_t>(slot - 1));
}

Slot::~Slot() {
  if (slab_ != nullptr) slab_->pool->release(*slab_, index_);
}

std::byte* Slot::address() const noexcept {
  if (slab_ == nullptr) return nullptr;
  auto* const memory = slab_->host.size() > 0 ? slab_->host.data() : static_cast<std::byte*>(slab_->device.data());
  return memory + index_ * slab_->pool->slot_bytes_;
}

Slot SlotPool::acquire() {
  if (slabs_.empty() || slabs_.front().free.empty()) {
    slabs_.emplace_front(*this, slab_slots_, bookkeeping_);
    slabs_.front().self = slabs_.begin();
    ++fresh_;
  }
  Slab& slab = slabs_.front();
  reservation_.use(bytes(1));
  const std::uint32_t index = slab.free.back();
  slab.free.pop_back();
  ++used_;
  if (slab.free.empty()) slabs_.splice(slabs_.end(), slabs_, slab.self);
  return {slab, index};
}

void SlotPool::release(Slab& slab, std::uint32_t index) noexcept {
  slab.free.push_back(index);
  slabs_.splice(slabs_.begin(), slabs_, slab.self);
  --used_;
  reservation_.unuse(bytes(1));
}

void SlotPool::trim() noexcept {
  slabs_.remove_if([&](const Slab& slab) { return slab.free.size() == slab_slots_; });
}

void SlotPool::keep_fresh() noexcept {
  if (fresh_ == 0) return;
  for (Slab& slab : slabs_) slab.fresh = false;
  fresh_ = 0;
}

void SlotPool::undo_fresh() noexcept {
  if (fresh_ == 0) return;
  slabs_.remove_if([&](const Slab& slab) { return slab.fresh && slab.free.size() == slab_slots_; });
  keep_fresh();
}

}  // namespace mpp::llm

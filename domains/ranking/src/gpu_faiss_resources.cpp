#include "src/gpu_faiss_resources.hpp"

// Derived from the standard implementation instead of wrapping it: that one asks itself, through the virtual
// allocMemory(), for its temporary buffer and for temporary requests that do not fit there. A wrapper around it would
// not see those bytes.

namespace mpp::ranking {
namespace {

constexpr std::size_t granularity = 256;

Footprint device_bytes(std::size_t size) {
  return Footprint::device(Bytes{(size + granularity - 1) / granularity} * granularity);
}

}  // namespace

void GpuFaissCharges::charge(const Footprint& bytes) {
  const std::scoped_lock lock(mutex_);
  if (auto denial = reservation_.try_grow(bytes)) throw GpuFaissMemoryDenied(std::move(*denial));
  reservation_.use(bytes);
}

void GpuFaissCharges::give_back(const Footprint& bytes) noexcept {
  const std::scoped_lock lock(mutex_);
  reservation_.unuse(bytes);
  reservation_.shrink(bytes);
}

GpuFaissResources::GpuFaissResources(Reservation reservation, Bytes temporary_bytes, Bytes pinned_bytes)
    : GpuFaissCharges(std::move(reservation)) {
  charge(Footprint::host(pinned_bytes));
  setTempMemory(temporary_bytes.count);
  setPinnedMemory(pinned_bytes.count);
}

void* GpuFaissResources::allocMemory(const faiss::gpu::AllocRequest& request) {
  using faiss::gpu::MemorySpace;
  // Temporary requests come from the buffer, which was charged when it was made; one that does not fit there comes back
  // to this function as a device request.
  if (request.space == MemorySpace::Temporary || request.size == 0)
    return StandardGpuResourcesImpl::allocMemory(request);

  const Footprint bytes = device_bytes(request.size);
  charge(bytes);
  void* address = nullptr;
  try {
    address = StandardGpuResourcesImpl::allocMemory(request);
    const std::scoped_lock lock(mutex_);
    held_.emplace(address, bytes);
  } catch (...) {
    if (address != nullptr) StandardGpuResourcesImpl::deallocMemory(request.device, address);
    give_back(bytes);
    throw;
  }
  return address;
}

void GpuFaissResources::deallocMemory(int device, void* address) {
  // Forgotten first: once freed, the same address may be given to another thread. Null and pieces of the temporary
  // buffer were never held.
  const auto held = [&] {
    const std::scoped_lock lock(mutex_);
    return held_.extract(address);
  }();
  StandardGpuResourcesImpl::deallocMemory(device, address);
  if (!held.empty()) give_back(held.mapped());
}

}  // namespace mpp::ranking

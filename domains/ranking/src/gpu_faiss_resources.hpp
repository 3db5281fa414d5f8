#pragma once
#include <cstddef>
#include <mutex>
#include <new>
#include <string>
#include <unordered_map>
#include <utility>

#include <faiss/gpu/StandardGpuResources.h>

#include <mpp/core/memory/reservation.hpp>

namespace mpp::ranking {

/// FAISS asked for GPU memory that the ledger did not have. what() is the denial's sentence.
class GpuFaissMemoryDenied : public std::bad_alloc {
 public:
  explicit GpuFaissMemoryDenied(Denial denial) : denial_(std::move(denial)), sentence_(denial_.message()) {}
  [[nodiscard]] const char* what() const noexcept override { return sentence_.c_str(); }
  [[nodiscard]] const Denial& denial() const noexcept { return denial_; }

 private:
  Denial denial_;
  std::string sentence_;
};

/// What FAISS holds, by address, and the reservation that pays for it. A base and not a member: bases are destroyed in
/// reverse order, so the bytes go back to the ledger only after FAISS has freed its own temporary buffer.
class GpuFaissCharges {
 protected:
  explicit GpuFaissCharges(Reservation reservation) noexcept : reservation_(std::move(reservation)) {}
  /// @throws GpuFaissMemoryDenied; nothing is charged then
  void charge(const Footprint& bytes);
  void give_back(const Footprint& bytes) noexcept;

  std::mutex mutex_;  // FAISS may use one object for several devices from several threads
  std::unordered_map<void*, Footprint> held_;

 private:
  Reservation reservation_;
};

/// FAISS's standard GPU resources with every byte charged to a reservation: device memory as `device`, the pinned
/// transfer buffer as `host`. Pass it to GPU indexes as std::shared_ptr<faiss::gpu::GpuResources>; it must outlive them,
/// and the ledger must outlive it.
///
/// Bytes are rounded up to the 256 that cudaMalloc aligns to. The context of CUDA and cuBLAS is not FAISS's and is not
/// counted, nor is what cuVS takes through RMM without asking GpuResources.
class GpuFaissResources final : private GpuFaissCharges, public faiss::gpu::StandardGpuResourcesImpl {
 public:
  /// @param temporary_bytes  scratch that FAISS keeps per device; its own default is up to 1.5 GiB
  /// @param pinned_bytes     host buffer for transfers; charged at once, allocated when FAISS first uses a device
  GpuFaissResources(Reservation reservation, Bytes temporary_bytes, Bytes pinned_bytes);

  void* allocMemory(const faiss::gpu::AllocRequest& request) override;
  void deallocMemory(int device, void* address) override;
};

}  // namespace mpp::ranking

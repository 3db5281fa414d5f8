#pragma once
#include <cstddef>
#include <span>
#include <utility>

#include <mpp/kernels/context.hpp>

namespace mpp::kernels {

/// Bytes in host memory that a context's device reaches, filled with zeros. Move-only; freed by the destructor.
/// On CUDA the memory is pinned and mapped: kernels and paged_copy() take its address as it is. Pinned pages cannot be
/// swapped out, so a ledger should cap them. Aligned to 64 bytes at least.
class HostBytes {
 public:
  HostBytes() noexcept = default;
  /// @throws std::bad_alloc when there is no room; BackendUnavailable when this build or machine lacks the device
  HostBytes(const Context& context, std::size_t bytes);
  HostBytes(HostBytes&& other) noexcept
      : device_(other.device_), data_(std::exchange(other.data_, nullptr)), bytes_(std::exchange(other.bytes_, 0)) {}
  HostBytes& operator=(HostBytes&& other) noexcept {
    std::swap(device_, other.device_);
    std::swap(data_, other.data_);
    std::swap(bytes_, other.bytes_);
    return *this;
  }
  ~HostBytes();

  [[nodiscard]] std::byte* data() const noexcept { return data_; }
  [[nodiscard]] std::size_t size() const noexcept { return bytes_; }
  [[nodiscard]] std::span<std::byte> span() const noexcept { return {data_, bytes_}; }

 private:
  Device device_ = Device::cpu;
  std::byte* data_ = nullptr;
  std::size_t bytes_ = 0;
};

}  // namespace mpp::kernels

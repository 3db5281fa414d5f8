#pragma once
#include <cstddef>
#include <span>
#include <type_traits>
#include <utility>
#include <vector>

#include <mpp/kernels/context.hpp>

namespace mpp::kernels {

/// Bytes in the memory of a context's device, filled with zeros. Move-only; freed by the destructor.
/// Aligned to 64 bytes on the CPU and to 256 on CUDA. Copies return when the bytes have arrived.
class DeviceBytes {
 public:
  DeviceBytes() noexcept = default;
  /// @throws std::bad_alloc when the device has no room; BackendUnavailable when this build or machine lacks it
  DeviceBytes(const Context& context, std::size_t bytes);
  DeviceBytes(DeviceBytes&& other) noexcept
      : context_(other.context_), data_(std::exchange(other.data_, nullptr)), bytes_(std::exchange(other.bytes_, 0)) {}
  DeviceBytes& operator=(DeviceBytes&& other) noexcept {
    std::swap(context_, other.context_);
    std::swap(data_, other.data_);
    std::swap(bytes_, other.bytes_);
    return *this;
  }
  ~DeviceBytes();

  [[nodiscard]] void* data() const noexcept { return data_; }
  [[nodiscard]] std::size_t size() const noexcept { return bytes_; }
  void copy_from(std::span<const std::byte> host);  ///< @throws ShapeError unless the sizes agree
  void copy_to(std::span<std::byte> host) const;    ///< @throws ShapeError unless the sizes agree

 private:
  Context context_;
  void* data_ = nullptr;
  std::size_t bytes_ = 0;
};

/// n values of T in the memory of a context's device. Its spans are what the operations of this library take.
///
///   DeviceArray<float> rows(context, std::span<const float>(host_rows));
///   rescore(context, rows.span(), query.span(), Metric::cosine, scores.span());
///   std::vector<double> result = scores.to_host();
template <class T>
  requires std::is_trivially_copyable_v<T>
class DeviceArray {
 public:
  DeviceArray() noexcept = default;
  DeviceArray(const Context& context, std::size_t n) : bytes_(context, n * sizeof(T)), size_(n) {}
  DeviceArray(const Context& context, std::span<const T> host) : DeviceArray(context, host.size()) { copy_from(host); }
  DeviceArray(DeviceArray&& other) noexcept : bytes_(std::move(other.bytes_)), size_(std::exchange(other.size_, 0)) {}
  DeviceArray& operator=(DeviceArray&& other) noexcept {
    bytes_ = std::move(other.bytes_);
    std::swap(size_, other.size_);
    return *this;
  }

  [[nodiscard]] std::size_t size() const noexcept { return size_; }
  [[nodiscard]] std::span<T> span() noexcept { return {static_cast<T*>(bytes_.data()), size_}; }
  [[nodiscard]] std::span<const T> span() const noexcept { return {static_cast<const T*>(bytes_.data()), size_}; }

  void copy_from(std::span<const T> host) { bytes_.copy_from(std::as_bytes(host)); }
  void copy_to(std::span<T> host) const { bytes_.copy_to(std::as_writable_bytes(host)); }
  [[nodiscard]] std::vector<T> to_host() const {
    std::vector<T> host(size_);
    copy_to(host);
    return host;
  }

 private:
  DeviceBytes bytes_;
  std::size_t size_ = 0;
};

}  // namespace mpp::kernels

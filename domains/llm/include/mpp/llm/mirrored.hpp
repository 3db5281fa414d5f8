#pragma once
#include <memory_resource>

#include <mpp/core/memory/footprint.hpp>
#include <mpp/core/memory/uninitialized.hpp>
#include <mpp/kernels/device_array.hpp>

namespace mpp::llm {

/// n values that the host and a context's device both see. On the CPU they are the same memory, that of the resource; on
/// CUDA there are two copies, and the device's must have been claimed beside those of the resource.
template <class T>
class Mirrored {
 public:
  explicit Mirrored(std::pmr::memory_resource* memory) : host_(memory) {}

  static Footprint bytes(const kernels::Context& context, std::size_t n) {
    const Bytes size = bytes_of<T>(n);
    return Footprint::host(size) + (context.device == kernels::Device::cpu ? Footprint{} : Footprint::device(size));
  }
  /// Once. Zeros on CUDA, anything on the CPU.
  void allocate(const kernels::Context& context, std::size_t n) {
    host_.resize(n);
    if (context.device != kernels::Device::cpu) device_ = kernels::DeviceArray<T>(context, n);
  }

  [[nodiscard]] std::size_t size() const noexcept { return host_.size(); }
  [[nodiscard]] T* host() noexcept { return host_.data(); }
  [[nodiscard]] const T* host() const noexcept { return host_.data(); }
  [[nodiscard]] T* device() noexcept { return device_.size() > 0 ? device_.span().data() : host_.data(); }
  void upload() {
    if (device_.size() > 0) device_.copy_from(std::span<const T>(host_));
  }
  void download() {
    if (device_.size() > 0) device_.copy_to(std::span<T>(host_));
  }

 private:
  Buffer<T> host_;
  kernels::DeviceArray<T> device_;
};

/// Memory of a context's device alone, aligned to 16 bytes: of the resource on the CPU, and claimed beside it on CUDA.
class DeviceBlock {
 public:
  explicit DeviceBlock(std::pmr::memory_resource* memory) : host_(memory) {}

  static Footprint bytes(const kernels::Context& context, std::size_t n) {
    return Footprint::of(context.device == kernels::Device::cpu ? MemorySpace::host : MemorySpace::device,
                         bytes_of<Chunk>((n + sizeof(Chunk) - 1) / sizeof(Chunk)));
  }
  void allocate(const kernels::Context& context, std::size_t n) {
    const std::size_t chunks = (n + sizeof(Chunk) - 1) / sizeof(Chunk);
    if (context.device == kernels::Device::cpu)
      host_.resize(chunks);
    else
      device_ = kernels::DeviceArray<Chunk>(context, chunks);
  }
  [[nodiscard]] std::byte* data() noexcept {
    return reinterpret_cast<std::byte*>(device_.size() > 0 ? device_.span().data() : host_.data());
  }

 private:
  struct alignas(16) Chunk {
    std::byte bytes[16];
  };
  Buffer<Chunk> host_;
  kernels::DeviceArray<Chunk> device_;
};

}  // namespace mpp::llm

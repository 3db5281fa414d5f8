// The device itself: is there one, what is it called, and its memory.
#include <mutex>
#include <new>
#include <vector>

#include "ops.hpp"
#include "scratch.cuh"

namespace mpp::kernels::cuda {
namespace {

__global__ void probe() {}

cudaMemPool_t new_scratch_pool(int device, const char* operation) {
  constexpr std::uint64_t kept_bytes = 64 << 20;  // more than an operation needs whose rows are not many
  cudaMemPoolProps properties{};
  properties.allocType = cudaMemAllocationTypePinned;
  properties.location = {cudaMemLocationTypeDevice, device};
  cudaMemPool_t pool = nullptr;
  check(cudaMemPoolCreate(&pool, &properties), operation);
  std::uint64_t threshold = kept_bytes;
  check(cudaMemPoolSetAttribute(pool, cudaMemPoolAttrReleaseThreshold, &threshold), operation);
  return pool;
}

}  // namespace

bool available() noexcept {
  cudaFuncAttributes attributes;
  const bool runs = cudaFuncGetAttributes(&attributes, probe) == cudaSuccess;
  cudaGetLastError();
  return runs;
}

std::string device_description() {
  int device = 0;
  cudaDeviceProp properties;
  check(cudaGetDevice(&device), "device_description");
  check(cudaGetDeviceProperties(&properties, device), "device_description");
  return properties.name;
}

cudaMemPool_t scratch_pool(const char* operation) {
  static std::mutex guard;
  static std::vector<cudaMemPool_t> pools;  // by device; they live as long as the process
  int device = 0;
  check(cudaGetDevice(&device), operation);
  const auto at = static_cast<std::size_t>(device);
  const std::lock_guard lock(guard);
  if (pools.size() <= at) pools.resize(at + 1, nullptr);
  if (pools[at] == nullptr) pools[at] = new_scratch_pool(device, operation);
  return pools[at];
}

void* allocate(const Context& context, std::size_t bytes) {
  if (bytes == 0) return nullptr;
  void* memory = nullptr;
  const cudaError_t code = cudaMalloc(&memory, bytes);
  if (code == cudaErrorMemoryAllocation) {
    cudaGetLastError();
    throw std::bad_alloc();
  }
  check(code, "DeviceBytes");
  check(cudaMemsetAsync(memory, 0, bytes, stream_of(context)), "DeviceBytes");
  finish(context, "DeviceBytes");
  return memory;
}

void release(void* memory) noexcept { static_cast<void>(cudaFree(memory)); }

void* allocate_pinned(std::size_t bytes) {
  if (bytes == 0) return nullptr;
  void* memory = nullptr;
  check(cudaHostAlloc(&memory, bytes, cudaHostAllocPortable | cudaHostAllocMapped), "HostBytes");
  return memory;
}

void release_pinned(void* memory) noexcept { static_cast<void>(cudaFreeHost(memory)); }

void copy_from_host(const Context& context, const void* host, void* device, std::size_t bytes) {
  check(cudaMemcpyAsync(device, host, bytes, cudaMemcpyHostToDevice, stream_of(context)), "DeviceBytes::copy_from");
  finish(context, "DeviceBytes::copy_from");
}

void copy_to_host(const Context& context, const void* device, void* host, std::size_t bytes) {
  check(cudaMemcpyAsync(host, device, bytes, cudaMemcpyDeviceToHost, stream_of(context)), "DeviceBytes::copy_to");
  finish(context, "DeviceBytes::copy_to");
}

}  // namespace mpp::kernels::cuda

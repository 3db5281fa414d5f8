// The device itself: is there one, what is it called, and its memory.
#include <new>

#include "check.cuh"
#include "ops.hpp"

namespace mpp::kernels::cuda {
namespace {

__global__ void probe() {}

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

void copy_from_host(const Context& context, const void* host, void* device, std::size_t bytes) {
  check(cudaMemcpyAsync(device, host, bytes, cudaMemcpyHostToDevice, stream_of(context)), "DeviceBytes::copy_from");
  finish(context, "DeviceBytes::copy_from");
}

void copy_to_host(const Context& context, const void* device, void* host, std::size_t bytes) {
  check(cudaMemcpyAsync(host, device, bytes, cudaMemcpyDeviceToHost, stream_of(context)), "DeviceBytes::copy_to");
  finish(context, "DeviceBytes::copy_to");
}

}  // namespace mpp::kernels::cuda

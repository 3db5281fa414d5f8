#pragma once
// The roof over everything a memory-bound operation can reach: a plain copy within the memory of the device.
#include <cstring>

#include <mpp/kernels/device_array.hpp>

#if MPP_HAVE_CUDA
#include <cuda_runtime_api.h>
#endif

namespace mpp::bench {

/// Copies all of `from` to `to`, both in the memory of `device` and of one size; returns when the bytes have arrived.
/// @throws std::runtime_error when CUDA refuses
inline void copy_on_device(kernels::Device device, const kernels::DeviceBytes& from, kernels::DeviceBytes& to) {
#if MPP_HAVE_CUDA
  if (device == kernels::Device::cuda) {
    const cudaError_t copied = cudaMemcpyAsync(to.data(), from.data(), from.size(), cudaMemcpyDeviceToDevice, nullptr);
    const cudaError_t finished = cudaStreamSynchronize(nullptr);
    expects<std::runtime_error>(copied == cudaSuccess && finished == cudaSuccess, "copy_on_device: CUDA says ",
                                cudaGetErrorString(copied == cudaSuccess ? finished : copied));
    return;
  }
#endif
  expects<std::runtime_error>(device == kernels::Device::cpu, "copy_on_device: built without CUDA");
  std::memcpy(to.data(), from.data(), from.size());
}

}  // namespace mpp::bench

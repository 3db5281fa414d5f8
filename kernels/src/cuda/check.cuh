#pragma once
#include <cstdint>
#include <limits>
#include <new>
#include <stdexcept>

#include <cuda_runtime.h>

#include <mpp/core/error.hpp>
#include <mpp/kernels/context.hpp>

namespace mpp::kernels::cuda {

inline cudaStream_t stream_of(const Context& context) noexcept { return static_cast<cudaStream_t>(context.stream); }

/// @throws BackendUnavailable when there is no device that can run us, std::bad_alloc when
/// its memory is full, std::runtime_error for any other CUDA error
inline void check(cudaError_t code, const char* operation) {
  if (code == cudaSuccess) return;
  cudaGetLastError();  // a reported error must not be reported again by the next operation
  const auto message = text(operation, ": CUDA says ", cudaGetErrorName(code), ", ", cudaGetErrorString(code));
  switch (code) {
    case cudaErrorNoDevice:
    case cudaErrorInsufficientDriver:
    case cudaErrorNoKernelImageForDevice:
    case cudaErrorDevicesUnavailable:
    case cudaErrorSystemDriverMismatch:
    case cudaErrorCompatNotSupportedOnDevice:
      throw BackendUnavailable(message);
    case cudaErrorMemoryAllocation:
      throw std::bad_alloc();
    default:
      throw std::runtime_error(message);
  }
}

/// After a launch: the launch itself was accepted.
inline void check_launch(const char* operation) { check(cudaGetLastError(), operation); }

/// Waits for the stream, where errors of running kernels appear.
inline void finish(const Context& context, const char* operation) {
  check(cudaStreamSynchronize(stream_of(context)), operation);
}

/// Blocks of `width` threads that cover `n`. One-dimensional grids reach 2^31 - 1 blocks.
inline unsigned grid_of(std::size_t n, std::size_t width, const char* operation) {
  const std::size_t blocks = (n + width - 1) / width;
  expects<ShapeError>(blocks <= std::numeric_limits<std::int32_t>::max(), operation, ": ", n,
                      " elements exceed one CUDA grid");
  return static_cast<unsigned>(blocks);
}

/// Wide loads need aligned memory. Whole allocations always are; a view into the middle of one may not be.
inline void expects_aligned(const void* memory, std::size_t bytes, const char* operation, const char* argument) {
  expects<ShapeError>(reinterpret_cast<std::uintptr_t>(memory) % bytes == 0, operation, ": ", argument,
                      " is not aligned to ", bytes, " bytes, which its CUDA loads need");
}

}  // namespace mpp::kernels::cuda

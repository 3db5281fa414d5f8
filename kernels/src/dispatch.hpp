#pragma once
#include <mpp/core/error.hpp>
#include <mpp/kernels/context.hpp>

#include "src/cpu/ops.hpp"
#include "src/cuda/ops.hpp"

namespace mpp::kernels {

/// Calls the back end of context.device. Here and in built_devices() alone the code asks how the library was built.
template <class Cpu, class Cuda>
decltype(auto) dispatch(const Context& context, Cpu cpu_op, [[maybe_unused]] Cuda cuda_op) {
  if (context.device == Device::cpu) return cpu_op();
#if MPP_HAVE_CUDA
  return cuda_op();
#else
  throw BackendUnavailable("mpp was built without CUDA; configure with MPP_CUDA=ON to run on a GPU");
#endif
}

}  // namespace mpp::kernels

#pragma once
#include <mpp/core/error.hpp>
#include <mpp/kernels/context.hpp>

#include "src/cpu/ops.hpp"
#include "src/cuda/ops.hpp"

namespace mpp::kernels {

/// Calls the back end of context.device. In this file and in built_devices() alone the code asks how the library was built.
template <class Cpu, class Cuda>
decltype(auto) dispatch(const Context& context, Cpu cpu_op, [[maybe_unused]] Cuda cuda_op) {
  if (context.device == Device::cpu) return cpu_op();
#if MPP_HAVE_CUDA
  return cuda_op();
#else
  throw BackendUnavailable("mpp was built without CUDA; configure with MPP_CUDA=ON to run on a GPU");
#endif
}

/// The same for an operation whose CUDA code needs cuBLAS.
template <class Cpu, class Cuda>
decltype(auto) dispatch_with_blas(const Context& context, Cpu cpu_op, [[maybe_unused]] Cuda cuda_op) {
#if MPP_HAVE_CUDA && !MPP_HAVE_CUBLAS
  return dispatch(context, cpu_op, []() -> decltype(cpu_op()) {
    throw BackendUnavailable(
        "mpp was built without cuBLAS; install it and configure with MPP_CUBLAS_ROOT to run on a GPU");
  });
#else
  return dispatch(context, cpu_op, cuda_op);
#endif
}

}  // namespace mpp::kernels

#pragma once
#include <cstddef>
#include <mutex>
#include <span>

#include <cublas_v2.h>

#include <mpp/kernels/context.hpp>

namespace mpp::kernels::cuda {

/// A matrix in device memory, row after row: element (i, j) is data[i * stride + j].
template <class T>
struct RowMajor {
  T* data;
  std::size_t rows, columns, stride;
};

/// cuBLAS on the stream of a context, while one operation launches its work. In float throughout: no TF32 and no emulation.
///
/// Each device has one handle, which is made when it is first needed (it takes milliseconds, and memory of cuBLAS's own) and
/// lives as long as the process. A handle has one stream and one workspace, so threads take turns: this holds the handle.
/// With one stream and a workspace of its own an operation gives the same bits each time.
class Blas {
 public:
  /// @param workspace  device memory, aligned to 256 bytes, until the work is done
  Blas(const Context& context, std::span<std::byte> workspace, const char* operation);
  Blas(const Blas&) = delete;
  Blas& operator=(const Blas&) = delete;
  ~Blas();

  /// product = factor * a * transpose of b.   a: [m][k]   b: [n][k]   product: [m][n]
  void multiply_transposed(float factor, RowMajor<const float> a, RowMajor<const float> b,
                           RowMajor<float> product) const;
  /// sum = a * b + keep * sum.   a: [m][k]   b: [k][n]   sum: [m][n], not read if keep is 0
  void multiply_add(RowMajor<const float> a, RowMajor<const float> b, float keep, RowMajor<float> sum) const;

 private:
  const char* operation_;
  std::unique_lock<std::mutex> turn_;
  cublasHandle_t handle_ = nullptr;
};

}  // namespace mpp::kernels::cuda

// cuBLAS thinks in columns: memory that holds a row-major matrix X [m][n] with a stride of s between rows is, to it, the
// transpose X' [n][m] with a leading dimension of s. So the product is asked for as its transpose, with the operands swapped:
//
//   product = a b'   is   product' = b a',   b as the transpose (T) of the memory of b, a' as the memory of a (N)
//   sum = a b        is   sum' = b' a',      both as their memory (N, N)
//
// cublasSgemm(op of first, op of second, rows, columns, inner, ...) takes the shape of the transposed result: its rows are
// our columns.
#include <deque>
#include <limits>

#include "blas.cuh"
#include "check.cuh"

namespace mpp::kernels::cuda {
namespace {

void check_blas(cublasStatus_t status, const char* operation) {
  if (status == CUBLAS_STATUS_SUCCESS) return;
  const auto message = text(operation, ": cuBLAS says ", cublasGetStatusName(status));
  switch (status) {
    case CUBLAS_STATUS_ALLOC_FAILED:
      throw std::bad_alloc();
    case CUBLAS_STATUS_NOT_INITIALIZED:
    case CUBLAS_STATUS_ARCH_MISMATCH:
      throw BackendUnavailable(message);
    default:
      throw std::runtime_error(message);
  }
}

cublasHandle_t new_handle(const char* operation) {
  cublasHandle_t handle = nullptr;
  check_blas(cublasCreate(&handle), operation);
  // An environment variable may ask for TF32, or for sums of bfloat16 products. Not of this.
  const cublasStatus_t status = cublasSetMathMode(handle, CUBLAS_PEDANTIC_MATH);
  if (status != CUBLAS_STATUS_SUCCESS) static_cast<void>(cublasDestroy(handle));
  check_blas(status, operation);
  return handle;
}

struct Shared {
  std::mutex turn;
  cublasHandle_t handle = nullptr;
};

Shared& shared_of_device(const char* operation) {
  static std::mutex guard;
  static std::deque<Shared> shared;  // by device, and never moved
  int device = 0;
  check(cudaGetDevice(&device), operation);
  const std::lock_guard lock(guard);
  while (shared.size() <= static_cast<std::size_t>(device)) shared.emplace_back();
  return shared[static_cast<std::size_t>(device)];
}

int size_of(std::size_t n, const char* operation) {
  expects<ShapeError>(n <= std::numeric_limits<int>::max(), operation, ": a matrix has a side of ", n,
                      ", more than cuBLAS takes");
  return static_cast<int>(n);
}

}  // namespace

Blas::Blas(const Context& context, std::span<std::byte> workspace, const char* operation) : operation_(operation) {
  Shared& shared = shared_of_device(operation);
  turn_ = std::unique_lock(shared.turn);
  if (shared.handle == nullptr) shared.handle = new_handle(operation);
  check_blas(cublasSetStream(shared.handle, stream_of(context)), operation);  // takes the workspace away: first
  check_blas(cublasSetWorkspace(shared.handle, workspace.data(), workspace.size()), operation);
  handle_ = shared.handle;
}

// The handle forgets memory and stream of the operation, which may be gone when it is used next.
Blas::~Blas() { static_cast<void>(cublasSetStream(handle_, nullptr)); }

void Blas::multiply_transposed(float factor, RowMajor<const float> a, RowMajor<const float> b,
                               RowMajor<float> product) const {
  const auto size = [this](std::size_t n) { return size_of(n, operation_); };
  const float keep = 0.0F;
  check_blas(
      cublasSgemm(handle_, CUBLAS_OP_T, CUBLAS_OP_N, size(product.columns), size(product.rows), size(a.columns),
                  &factor, b.data, size(b.stride), a.data, size(a.stride), &keep, product.data, size(product.stride)),
      operation_);
}

void Blas::multiply_add(RowMajor<const float> a, RowMajor<const float> b, float keep, RowMajor<float> sum) const {
  const auto size = [this](std::size_t n) { return size_of(n, operation_); };
  const float factor = 1.0F;
  check_blas(cublasSgemm(handle_, CUBLAS_OP_N, CUBLAS_OP_N, size(sum.columns), size(sum.rows), size(a.columns), &factor,
                         b.data, size(b.stride), a.data, size(a.stride), &keep, sum.data, size(sum.stride)),
             operation_);
}

}  // namespace mpp::kernels::cuda

#pragma once
#include "check.cuh"

namespace mpp::kernels::cuda {

/// A pool of the current device for scratch memory that keeps what it has. The default pool gives all its memory back
/// whenever a stream is waited for, which every operation ends with, and the next one would have to map it again.
[[nodiscard]] cudaMemPool_t scratch_pool(const char* operation);

/// n values of T in device memory for the time of one operation, ordered on its stream. Contents are undefined.
template <class T>
class Scratch {
 public:
  Scratch(const Context& context, std::size_t n, const char* operation) : stream_(stream_of(context)) {
    if (n != 0)
      check(cudaMallocFromPoolAsync(reinterpret_cast<void**>(&data_), n * sizeof(T), scratch_pool(operation), stream_),
            operation);
  }
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;
  ~Scratch() {
    if (data_ != nullptr) static_cast<void>(cudaFreeAsync(data_, stream_));
  }
  T* get() const noexcept { return data_; }

 private:
  T* data_ = nullptr;
  cudaStream_t stream_;
};

/// One T on the device whose bytes all start as `byte`, read back after the stream has caught up.
template <class T>
class DeviceValue {
 public:
  DeviceValue(const Context& context, const char* operation, int byte = 0)
      : memory_(context, 1, operation), stream_(stream_of(context)), operation_(operation) {
    check(cudaMemsetAsync(memory_.get(), byte, sizeof(T), stream_), operation_);
  }
  T* get() const noexcept { return memory_.get(); }
  T read() const {
    T value;
    check(cudaMemcpyAsync(&value, memory_.get(), sizeof(T), cudaMemcpyDeviceToHost, stream_), operation_);
    check(cudaStreamSynchronize(stream_), operation_);
    return value;
  }

 private:
  Scratch<T> memory_;
  cudaStream_t stream_;
  const char* operation_;
};

/// Calls a CUB algorithm twice: once for the size of its temporary storage, once to run.
///   with_cub_storage(context, "topk", [&](void* storage, std::size_t& bytes) { return cub::...; });
template <class Algorithm>
void with_cub_storage(const Context& context, const char* operation, Algorithm&& algorithm) {
  std::size_t bytes = 0;
  check(algorithm(nullptr, bytes), operation);
  // CUB takes a null pointer for the question about the size, so never pass one when running.
  const Scratch<unsigned char> storage(context, bytes + 1, operation);
  check(algorithm(storage.get(), bytes), operation);
}

}  // namespace mpp::kernels::cuda

// One thread block owns one utterance and runs all its frames, so a batch is one launch and nothing returns to the host
// between frames. The beam and the histogram of the selection are in shared memory (2 KiB up to cap 16, 12 KiB up to 128);
// a frame's candidates and the prefix arena are in global memory, touched by one block only and small enough for the caches. A
// frame is a chain of short phases with barriers between them: many small blocks per multiprocessor hide each other's
// waiting, so a block gets about four candidates a thread and at least one warp.
#include <algorithm>
#include <vector>

#include "ops.hpp"
#include "scratch.cuh"
#include "src/ctc/search.hpp"

namespace mpp::kernels::cuda {
namespace {

constexpr std::uint32_t warp = 32, most_width = 256;
constexpr std::uint32_t narrow = 16;

/// The threads of a block as a group of ctc::Search.
class Block {
 public:
  __device__ explicit Block(unsigned long long& sum) : sum_(sum) {}

  template <class F>
  __device__ void each(std::uint32_t n, F f) {
    __syncthreads();
    for (std::uint32_t i = threadIdx.x; i < n; i += blockDim.x) f(i);
    __syncthreads();
  }
  template <class F>
  __device__ std::uint64_t total(std::uint32_t n, F f) {
    __syncthreads();  // everybody has read the sum before this one
    if (threadIdx.x == 0) sum_ = 0;
    __syncthreads();
    unsigned long long sum = 0;
    for (std::uint32_t i = threadIdx.x; i < n; i += blockDim.x) sum += f(i);
    for (unsigned offset = warp / 2; offset != 0; offset /= 2) sum += __shfl_down_sync(~0U, sum, offset);
    if (threadIdx.x % warp == 0 && sum != 0) atomicAdd(&sum_, sum);
    __syncthreads();
    return sum_;
  }
  __device__ static std::uint32_t claim(std::uint32_t& counter) { return atomicAdd(&counter, 1U); }
  __device__ static void raise(std::uint32_t& value, std::uint32_t to) { atomicMax(&value, to); }

 private:
  unsigned long long& sum_;
};

template <std::uint32_t slots>
__global__ void __launch_bounds__(most_width) ctc_kernel(ctc::Work* work) {
  __shared__ ctc::Board<slots> board;
  __shared__ unsigned long long sum;
  Block block(sum);
  ctc::Search(block, board, work[blockIdx.x]).run();
}

}  // namespace

void ctc_step(const Context& context, std::span<ctc::Work> work) {
  constexpr const char* operation = "ctc_step";
  if (work.empty()) return;
  std::uint32_t cap = 0;
  std::size_t candidates = 0;
  for (const ctc::Work& one : work) {
    cap = std::max(cap, one.cap);
    candidates = std::max(candidates, std::size_t{one.cap} * one.tokens);
  }
  const auto threads = static_cast<std::uint32_t>(std::min<std::size_t>(candidates / 4, most_width));
  const std::uint32_t width = std::max(warp, threads / warp * warp);
  const Scratch<ctc::Work> device(context, work.size(), operation);
  const cudaStream_t stream = stream_of(context);
  check(cudaMemcpyAsync(device.get(), work.data(), work.size_bytes(), cudaMemcpyHostToDevice, stream), operation);
  const auto kernel = cap <= narrow ? ctc_kernel<narrow> : ctc_kernel<most_ctc_cap>;
  kernel<<<grid_of(work.size(), 1, operation), width, 0, stream>>>(device.get());
  check_launch(operation);
  check(cudaMemcpyAsync(work.data(), device.get(), work.size_bytes(), cudaMemcpyDeviceToHost, stream), operation);
  finish(context, operation);
}

}  // namespace mpp::kernels::cuda

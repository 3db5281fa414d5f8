// 8 lanes own one row. Survivors are few and their rows short (dims / 8 bytes a slice), so a whole warp per row would
// idle. Each lane takes every 8th word of the row's slices, 4 bytes where the length allows, and the 16-bit query
// values that belong to it, which all rows share and the first-level cache keeps. A pattern of 4 signs is spread into
// bytes and multiplied by two dp2a (16-bit by 8-bit, 32-bit sum). fine_grid keeps every sum below 2^31.
#include "check.cuh"
#include "ops.hpp"
#include "signs.cuh"

namespace mpp::kernels::cuda {
namespace {

constexpr unsigned block_width = 256;
constexpr unsigned lanes = 8;
constexpr std::size_t max_plane_slices = 4;

// sum + the values among `values` (two 16-bit ones a word) whose byte of `signs` is 1.
__device__ int add_selected(uint2 values, int signs, int sum) {
  sum = __dp2a_lo(static_cast<int>(values.x), signs, sum);
  return __dp2a_hi(static_cast<int>(values.y), signs, sum);
}

template <class Word>
__global__ void refine_kernel(const Word* rows, std::size_t n, unsigned slice_count, unsigned words_per_slice,
                              const uint2* code, std::int32_t* dots) {
  constexpr unsigned nibbles = 2 * sizeof(Word);
  constexpr int all_set = 0x01010101;
  const std::size_t row = (std::size_t{blockIdx.x} * block_width + threadIdx.x) / lanes;
  const unsigned lane = threadIdx.x % lanes;
  int total = 0;
  int positive[max_plane_slices] = {};
  if (row < n)
    for (unsigned w = lane; w < words_per_slice; w += lanes) {
      std::uint32_t bits[max_plane_slices] = {};
#pragma unroll
      for (unsigned s = 0; s < max_plane_slices; ++s)
        if (s < slice_count) bits[s] = rows[(row * slice_count + s) * words_per_slice + w];
#pragma unroll
      for (unsigned k = 0; k < nibbles; ++k) {
        const uint2 values = code[std::size_t{w} * nibbles + k];
        total = add_selected(values, all_set, total);
#pragma unroll
        for (unsigned s = 0; s < max_plane_slices; ++s)
          positive[s] = add_selected(values, spread_bits(bits[s] >> (4 * k) & 15U), positive[s]);
      }
    }
  // Integer sums are exact in any order, so the lanes may add up what is linear: all slices at once.
  int extension = 0;
#pragma unroll
  for (unsigned s = 0; s < max_plane_slices; ++s)
    if (s < slice_count) extension = 2 * extension + (2 * positive[s] - total);
  for (unsigned step = lanes / 2; step > 0; step /= 2) extension += __shfl_xor_sync(~0U, extension, step);
  if (row < n && lane == 0) dots[row] = (dots[row] << slice_count) + extension;
}

}  // namespace

void refine_dots(const Context& context, std::span<const std::uint8_t> rows, std::size_t plane_slice_count,
                 std::span<const std::int16_t> code, std::span<std::int32_t> dots) {
  constexpr const char* operation = "refine_dots";
  expects<ShapeError>(plane_slice_count <= max_plane_slices, "refine_dots: plane_slice_count is ", plane_slice_count,
                      ", expected at most ", max_plane_slices);
  if (dots.empty()) return;
  expects_aligned(code.data(), sizeof(uint2), "refine_dots", "code");
  const std::size_t bytes = code.size() / 8;
  const auto launch = [&]<class Word>(auto kernel, const Word* words) {
    kernel<<<grid_of(dots.size() * lanes, block_width, operation), block_width, 0, stream_of(context)>>>(
        words, dots.size(), static_cast<unsigned>(plane_slice_count), static_cast<unsigned>(bytes / sizeof(Word)),
        reinterpret_cast<const uint2*>(code.data()), dots.data());
    check_launch(operation);
  };
  const bool wide =
      bytes % sizeof(std::uint32_t) == 0 && reinterpret_cast<std::uintptr_t>(rows.data()) % sizeof(std::uint32_t) == 0;
  if (wide)
    launch(refine_kernel<std::uint32_t>, reinterpret_cast<const std::uint32_t*>(rows.data()));
  else
    launch(refine_kernel<std::uint8_t>, rows.data());
  finish(context, operation);
}

}  // namespace mpp::kernels::cuda

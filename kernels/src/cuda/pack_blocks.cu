// A transposition of bytes: a thread block owns 64 rows by 64 bytes, read along the rows and written across them.
// The tile has 65 columns (not 64), so that four threads reading down a column touch different banks.
#include "check.cuh"
#include "ops.hpp"

namespace mpp::kernels::cuda {
namespace {

constexpr unsigned tile_width = 64;
constexpr unsigned tile_steps = 4;  // rows (or bytes) that a thread block moves at a time
static_assert(block_rows == tile_width);

__global__ void pack_kernel(const std::uint8_t* codes, std::size_t n, std::size_t bytes, unsigned tiles_per_row,
                            std::uint8_t* blocks) {
  __shared__ std::uint8_t tile[tile_width][tile_width + 1];
  const std::size_t block = blockIdx.x / tiles_per_row;
  const std::size_t first_byte = std::size_t{blockIdx.x % tiles_per_row} * tile_width;
  const std::size_t first_row = block * block_rows;
  for (unsigned r = threadIdx.y; r < tile_width; r += tile_steps) {
    const std::size_t row = first_row + r, g = first_byte + threadIdx.x;
    tile[r][threadIdx.x] = row < n && g < bytes ? codes[row * bytes + g] : std::uint8_t{0};
  }
  __syncthreads();
  for (unsigned c = threadIdx.y; c < tile_width; c += tile_steps) {
    const std::size_t g = first_byte + c;
    if (g < bytes) blocks[(block * bytes + g) * block_rows + threadIdx.x] = tile[threadIdx.x][c];
  }
}

}  // namespace

void pack_blocks(const Context& context, std::span<const std::uint8_t> codes, std::size_t dims,
                 std::span<std::uint8_t> blocks) {
  constexpr const char* operation = "pack_blocks";
  const std::size_t bytes = dims / 8;
  const std::size_t n = codes.size() / bytes;
  if (n == 0) return;
  const unsigned tiles_per_row = grid_of(bytes, tile_width, operation);
  const unsigned grid = grid_of(blocks_of(n) * tiles_per_row, 1, operation);
  pack_kernel<<<grid, dim3(tile_width, tile_steps), 0, stream_of(context)>>>(codes.data(), n, bytes, tiles_per_row,
                                                                             blocks.data());
  check_launch(operation);
  finish(context, operation);
}

}  // namespace mpp::kernels::cuda

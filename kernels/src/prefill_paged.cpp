#include <mpp/kernels/prefill_paged.hpp>

#include "src/attend_terms.hpp"
#include "src/cuda/prefill_tile.hpp"
#include "src/dispatch.hpp"

namespace mpp::kernels {

std::size_t prefill_scratch_floats(Device device, const AttendShape& shape) noexcept {
  return device == Device::cpu ? cpu::prefill_scratch_floats(shape) : cuda::prefill_scratch_floats(shape);
}

void prefill_paged(const Context& context, const AttendShape& shape, std::span<const PrefillRead> reads,
                   std::span<float> scratch) {
  check_shape("prefill_paged", shape);
  const std::size_t needed = prefill_scratch_floats(context.device, shape);
  expects<ShapeError>(scratch.size() >= needed, "prefill_paged: scratch has ", scratch.size(), " floats, expected ",
                      needed);
  for (std::size_t i = 0; i < reads.size(); ++i) {
    const PrefillRead& read = reads[i];
    expects<ShapeError>(read.page_count > 0 && read.page_count <= max_read_pages, "prefill_paged: read ", i, " has ",
                        read.page_count, " pages, expected 1 to ", max_read_pages);
    expects<ShapeError>(read.pages != nullptr && read.queries != nullptr && read.output != nullptr,
                        "prefill_paged: read ", i, " has a null array");
  }
  dispatch_with_blas(
      context,
      [&] {
        for (const PrefillRead& read : reads) cpu::prefill_paged(shape, read, scratch);
      },
      [&] { cuda::prefill_paged(context, shape, reads, scratch); });
}

}  // namespace mpp::kernels

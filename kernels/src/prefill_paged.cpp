#include <mpp/kernels/prefill_paged.hpp>

#include "src/attend_terms.hpp"
#include "src/dispatch.hpp"

namespace mpp::kernels {

void prefill_paged(const Context& context, const AttendShape& shape, std::span<const PrefillRead> reads,
                   std::span<float> scratch) {
  check_shape("prefill_paged", shape);
  expects<BackendUnavailable>(context.device == Device::cpu, "prefill_paged: runs on the CPU only");
  expects<ShapeError>(scratch.size() >= prefill_scratch_floats(shape), "prefill_paged: scratch has ", scratch.size(),
                      " floats, expected ", prefill_scratch_floats(shape));
  for (std::size_t i = 0; i < reads.size(); ++i) {
    const PrefillRead& read = reads[i];
    expects<ShapeError>(read.page_count > 0 && read.page_count <= max_read_pages, "prefill_paged: read ", i, " has ",
                        read.page_count, " pages, expected 1 to ", max_read_pages);
    expects<ShapeError>(read.pages != nullptr && read.queries != nullptr && read.output != nullptr,
                        "prefill_paged: read ", i, " has a null array");
  }
  for (const PrefillRead& read : reads) cpu::prefill_paged(shape, read, scratch);
}

}  // namespace mpp::kernels

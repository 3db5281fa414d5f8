#include <mpp/kernels/paged_copy.hpp>

#include "src/dispatch.hpp"

namespace mpp::kernels {

void paged_copy(const Context& context, std::span<const CopyItem> items) {
  for (std::size_t i = 0; i < items.size(); ++i) {
    const CopyItem& item = items[i];
    expects<ShapeError>(item.bytes == 0 || (item.source != nullptr && item.target != nullptr), "paged_copy: item ", i,
                        " has ", item.bytes, " bytes and a ", item.source == nullptr ? "source" : "target",
                        " that is null");
  }
  dispatch(
      context, [&] { cpu::paged_copy(context, items); }, [&] { cuda::paged_copy(context, items); });
}

}  // namespace mpp::kernels

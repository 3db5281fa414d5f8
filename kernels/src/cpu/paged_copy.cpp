#include <mpp/kernels/paged_copy.hpp>

#include <cstring>

#include "src/cpu/ops.hpp"

namespace mpp::kernels::cpu {

void paged_copy(const Context&, std::span<const CopyItem> items) {
  for (const CopyItem& item : items)
    if (item.bytes != 0) std::memcpy(item.target, item.source, item.bytes);
}

}  // namespace mpp::kernels::cpu

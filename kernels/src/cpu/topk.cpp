#include <algorithm>

#include "src/cpu/ops.hpp"

namespace mpp::kernels::cpu {

std::size_t topk(const Context&, std::span<Scored> items, std::size_t k) {
  const std::size_t kept = std::min(k, items.size());
  std::partial_sort(items.begin(), items.begin() + static_cast<std::ptrdiff_t>(kept), items.end(), ranks_before);
  return kept;
}

}  // namespace mpp::kernels::cpu

#include <mpp/kernels/topk.hpp>

#include "src/dispatch.hpp"

namespace mpp::kernels {

std::size_t topk(const Context& context, std::span<Scored> items, std::size_t k) {
  return dispatch(
      context, [&] { return cpu::topk(context, items, k); }, [&] { return cuda::topk(context, items, k); });
}

}  // namespace mpp::kernels

#include <mpp/kernels/quantize_page.hpp>

#include "src/dispatch.hpp"

namespace mpp::kernels {
namespace {

void check_page(const char* operation, std::size_t head_dim, const PageToQuantize& page) {
  expects<ShapeError>(head_dim > 0 && head_dim % 32 == 0 && head_dim <= max_head_dim, operation, ": head_dim is ",
                      head_dim, ", expected a multiple of 32, at most ", max_head_dim);
  const auto needed = [&](const void* memory, const char* argument) {
    expects<ShapeError>(memory != nullptr, operation, ": ", argument, " of a page is null");
  };
  needed(page.keys, "keys");
  needed(page.values, "values");
  needed(page.metadata, "metadata");
}

}  // namespace

void quantize_page(const Context& context, KvType type, std::size_t head_dim, std::span<const PageToQuantize> pages) {
  for (const PageToQuantize& page : pages) check_page("quantize_page", head_dim, page);
  dispatch(
      context, [&] { cpu::quantize_page(context, type, head_dim, pages); },
      [&] { cuda::quantize_page(context, type, head_dim, pages); });
}

void summarize_page(const Context& context, KvType type, std::size_t head_dim, const PageToQuantize& page,
                    std::size_t tokens) {
  check_page("summarize_page", head_dim, page);
  expects<ShapeError>(tokens >= 1 && tokens <= page_tokens, "summarize_page: tokens is ", tokens, ", expected 1 to ",
                      page_tokens);
  dispatch(
      context, [&] { cpu::summarize_page(context, type, head_dim, page, tokens); },
      [&] { cuda::summarize_page(context, type, head_dim, page, tokens); });
}

}  // namespace mpp::kernels

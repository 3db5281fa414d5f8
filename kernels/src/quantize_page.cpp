#include <mpp/kernels/quantize_page.hpp>

#include "src/dispatch.hpp"
#include "src/stored_page.hpp"

namespace mpp::kernels {
namespace {

void needed(const void* memory, const char* operation, const char* argument) {
  expects<ShapeError>(memory != nullptr, operation, ": ", argument, " of a page is null");
}

void check_page(const char* operation, std::size_t head_dim, const PageToQuantize& page) {
  check_head_dim(operation, head_dim);
  needed(page.keys, operation, "keys");
  needed(page.values, operation, "values");
  needed(page.metadata, operation, "metadata");
}

}  // namespace

void quantize_page(const Context& context, KvType type, std::size_t head_dim, std::span<const PageToQuantize> pages) {
  for (const PageToQuantize& page : pages) check_page("quantize_page", head_dim, page);
  dispatch(
      context, [&] { cpu::quantize_page(context, type, head_dim, pages); },
      [&] { cuda::quantize_page(context, type, head_dim, pages); });
}

void summarize_page(const Context& context, KvType type, std::size_t head_dim, std::span<const PageToQuantize> pages,
                    std::size_t tokens, std::size_t known) {
  check_head_dim("summarize_page", head_dim);
  for (const PageToQuantize& page : pages) check_page("summarize_page", head_dim, page);
  expects<ShapeError>(tokens >= 1 && tokens <= page_tokens, "summarize_page: tokens is ", tokens, ", expected 1 to ",
                      page_tokens);
  expects<ShapeError>(known <= tokens, "summarize_page: known is ", known, ", expected at most tokens = ", tokens);
  dispatch(
      context, [&] { cpu::summarize_page(context, type, head_dim, pages, tokens, known); },
      [&] { cuda::summarize_page(context, type, head_dim, pages, tokens); });
}

void encode_planes(const Context& context, KvType type, std::size_t head_dim, std::span<const PageToQuantize> pages) {
  check_head_dim("encode_planes", head_dim);
  for (const PageToQuantize& page : pages) {
    needed(page.metadata, "encode_planes", "metadata");
    if (any_plane(page.key_planes)) needed(page.keys, "encode_planes", "keys");
    if (any_plane(page.value_planes)) needed(page.values, "encode_planes", "values");
  }
  dispatch(
      context, [&] { cpu::encode_planes(context, type, head_dim, pages); },
      [&] { cuda::encode_planes(context, type, head_dim, pages); });
}

}  // namespace mpp::kernels

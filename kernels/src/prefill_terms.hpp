#pragma once
#include <cmath>

#include <mpp/core/error.hpp>
#include <mpp/kernels/prefill_paged.hpp>

#include "src/attend_terms.hpp"

// What the back ends of prefill_paged() refuse, in the same words.
namespace mpp::kernels {

/// All but the last page of a read are full, and all are exact.
constexpr bool fits_prefill(const KvPage& page, bool last) noexcept {
  return check_levels(page) == PageFault::none && page.key_level == PageLevel::exact &&
         page.value_level == PageLevel::exact && (last || page.tokens == page_tokens);
}

inline void expects_page(const KvPage& page, std::size_t at, bool last) {
  expects<ShapeError>(fits_prefill(page, last), "prefill_paged: page ", at,
                      " is not exact, or not full and not the last");
}

inline void expects_summary(const KvPage& page, std::size_t at, const PageSummary& found) {
  const PageFault fault = check_summary(page, found);
  expects<StalePage>(fault != PageFault::stale, "prefill_paged: page ", at, " is of generation ", found.generation,
                     ", expected ", page.generation, ": it was freed since");
  expects<ShapeError>(fault == PageFault::none, "prefill_paged: page ", at, " has ", found.tokens,
                      " tokens, its view expects ", page.tokens);
}

inline void expects_tokens(std::size_t tokens, std::size_t kv_len) {
  expects<ShapeError>(tokens >= 1 && tokens <= kv_len, "prefill_paged: tokens is ", tokens, ", expected 1 to the ",
                      kv_len, " of the pages");
}

/// @param at  place of the number in the queries, [tokens][group][head_dim]
inline void expects_finite(const AttendShape& shape, std::size_t at, float number) {
  expects<ValueError>(std::isfinite(number), "prefill_paged: query of token ", at / shape.head_dim / shape.group,
                      ", head ", at / shape.head_dim % shape.group, ", channel ", at % shape.head_dim, " is ", number,
                      ", expected a finite number");
}

}  // namespace mpp::kernels

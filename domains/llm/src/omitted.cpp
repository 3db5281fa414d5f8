#include <algorithm>

#include "page_terms.hpp"

namespace mpp::llm {

Omitted omitted_weight(const AttentionRead& read) noexcept {
  Omitted all;
  for (const OmittedPage& page : read.omitted) {
    if (page.tokens == 0 || page.logit == -infinity) continue;
    const double exponent = above(above(page.logit - read.log_sum_exp) + read.rounding.log_sum_exp);
    all.weight = sum_up(all.weight, product_up(static_cast<double>(page.tokens), exp_up(exponent)));
    all.value_norm = std::max(all.value_norm, page.value_norm);
  }
  return all;
}

}  // namespace mpp::llm

#pragma once
#include <mpp/kernels/certificate_sums.hpp>

#include "mpp/llm/attention_page.hpp"

namespace mpp::llm {

/// Whether what the tokens of a page are off by together is taken in, or only the radius, as if each were off by all of it.
enum class Tokens { together, each };

/// What kernels::certificate_sums() makes of the statistics of a kernel, made of a read page by page, each operation rounded
/// outward. The read has been checked.
kernels::CertificateSums read_sums(const AttentionRead& read, Tokens tokens = Tokens::together) noexcept;

}  // namespace mpp::llm

#pragma once
#include <mpp/kernels/certificate_sums.hpp>

#include "mpp/llm/attention_page.hpp"

namespace mpp::llm {

/// What kernels::certificate_sums() makes of the statistics of a kernel, made of a read page by page, each operation rounded
/// outward. The read has been checked.
kernels::CertificateSums read_sums(const AttentionRead& read) noexcept;

}  // namespace mpp::llm

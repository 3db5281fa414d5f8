#pragma once
#include <mpp/kernels/certificate_sums.hpp>

#include "mpp/llm/attention_bound.hpp"

// The closed forms of docs/llm_certificate.md: one closing for the sums of the kernels and for those of a read.
namespace mpp::llm {

/// Total variation over all tokens, read or omitted.
double closed_tv(const kernels::CertificateSums& sums) noexcept;

/// Error of the output and its ratio to rms(v). Throws ValueError, `operation` first, for an output of another read.
AttentionOutputBound closed_output(const kernels::CertificateSums& sums, double output_norm, const char* operation);

}  // namespace mpp::llm

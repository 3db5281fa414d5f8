#pragma once
#include <mpp/kernels/certificate_sums.hpp>

#include "mpp/llm/attention_page.hpp"

// The deterministic certificate of a compressed attention read: what is true for every exact cache that the pages, their
// radii and residuals allow. Proofs: docs/llm_certificate.md. Every result is rounded up; no call allocates.
//
// After kernels::attend_paged(), kernels::certificate_sums() and certify() are all there is to call. The functions of an
// AttentionRead make the same sums page by page, from numbers in double, and close them in the same way. They throw
// ValueError, naming page and field, for NaN, a negative or infinite number where the comment of the field forbids it, no
// pages, and masses whose sum cannot be 1 within `rounding.mass`.

namespace mpp::llm {

/// How far a read is from the read of the exact cache, whichever of the caches within the radii it is.
struct AttentionCertificate {
  double attention_tv = 1.0;     ///< total variation between the exact weights and p~ (0 where omitted), in [0, 1]
  double output_error = 0.0;     ///< |exact output - output|, in the unit of the values; +infinity: nothing is known
  double output_relative = 0.0;  ///< output_error / rms(v), rms(v)^2 = sum p~_i |v_i|^2; 0 if the error is 0
};

/// Closes the sums over the pages of a read: the smallest of the closed forms, with omitted pages and rounding inside.
///
/// @param output_norm  of the output as computed
/// @throws ValueError, naming the field, for NaN and negative numbers, and for an output that is longer than the energy of
///         the values allows: it is of another read
/// Tested by: tests/domains/llm/attention_tv_test.cpp, attention_output_test.cpp, attention_spread_test.cpp, certify_test.cpp,
///            certify_spread_test.cpp
[[nodiscard]] AttentionCertificate certify(const kernels::CertificateSums& sums, double output_norm);

/// attention_tv of certify(). 0 if all radii and weights left out are 0.
///
/// Never above what (A^2 - 1)/2 with A = sum m e^c, tanh of the largest radius, or the min3 form give for the same pages.
///
/// Tested by: tests/domains/llm/attention_tv_test.cpp
[[nodiscard]] double attention_tv_bound(const AttentionRead& read);

/// The same, close to the largest value that any exact cache within the radii attains if a page may have any number of
/// tokens. Of spreads it knows nothing, but it is never above attention_tv_bound(). Three passes over the pages and work of a
/// constant size, some 0.5 ms.
///
/// @return  in [0, 1]
/// Tested by: tests/domains/llm/attention_tv_test.cpp
[[nodiscard]] double attention_tv_supremum(const AttentionRead& read);

/// Error of the output of a read: as in AttentionCertificate.
struct AttentionOutputBound {
  double error = 0.0;
  double relative = 0.0;
};

/// Distance between the exact output sum p_i v_i, over all tokens read or omitted, and the output as computed.
///
/// Tested by: tests/domains/llm/attention_output_test.cpp
[[nodiscard]] AttentionOutputBound attention_output_bound(const AttentionRead& read);

}  // namespace mpp::llm

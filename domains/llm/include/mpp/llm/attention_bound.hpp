#pragma once
#include "mpp/llm/attention_page.hpp"

// The deterministic certificate of a compressed attention read: what is true for every exact cache that the pages, their
// radii and residuals allow. Proofs: docs/llm_certificate.md. Every result is rounded up; no call allocates.
//
// Every function throws ValueError, naming page and field, for NaN, a negative or infinite number where the comment of the
// field forbids it, no pages, and masses whose sum cannot be 1 within `rounding.mass`.

namespace mpp::llm {

/// Total variation between the exact attention weights, over all tokens read or omitted, and p~ (0 where omitted).
///
/// Closed form, one pass and one exponential per page. Never above what (A^2 - 1)/2 with A = sum m e^c, tanh of the
/// largest radius, or the min3 form give for the same pages; 0 if all radii and weights left out are 0.
///
/// @return  in [0, 1]
/// Tested by: tests/domains/llm/attention_tv_test.cpp
[[nodiscard]] double attention_tv_bound(const AttentionRead& read);

/// The same, close to the largest value that any exact cache within the radii attains if a page may have any number of
/// tokens. Never above attention_tv_bound(). Two passes over the pages and work of a constant size, some 0.5 ms.
///
/// @return  in [0, 1]
/// Tested by: tests/domains/llm/attention_tv_test.cpp
[[nodiscard]] double attention_tv_supremum(const AttentionRead& read);

/// Error of the output of a read.
struct AttentionOutputBound {
  double error = 0.0;     ///< |exact output - output|, in the unit of the values; +infinity where nothing is known
  double relative = 0.0;  ///< error / rms(v~), rms(v~)^2 = sum p~_i |v~_i|^2; 0 if the error is 0
};

/// Distance between the exact output sum p_i v_i, over all tokens read or omitted, and the output as computed.
///
/// Source: Cauchy-Schwarz over tokens or page by page, whichever is smaller.
/// Tested by: tests/domains/llm/attention_output_test.cpp
[[nodiscard]] AttentionOutputBound attention_output_bound(const AttentionRead& read);

}  // namespace mpp::llm

#include <cmath>

#include "closed_forms.hpp"
#include "mpp/core/error.hpp"
#include "mpp/llm/attention_bound.hpp"
#include "page_terms.hpp"
#include "read_sums.hpp"

namespace mpp::llm {
namespace {

void check(double sum, const char* field) {
  expects<ValueError>(sum >= 0.0, "certify: sums.", field, " is ", sum, ", expected a number >= 0");
}

}  // namespace

AttentionCertificate certify(const kernels::CertificateSums& sums, double output_norm) {
  check(sums.excess, "excess"), check(sums.variance, "variance"), check(sums.affinity, "affinity");
  check(sums.shrink, "shrink"), check(sums.lift, "lift"), check(sums.lift_variance, "lift_variance");
  check(sums.cosh_variance, "cosh_variance"), check(sums.sinh, "sinh"), check(sums.sinh_below, "sinh_below");
  check(sums.spread_lift, "spread_lift"), check(sums.spread_lift_square, "spread_lift_square");
  check(sums.spread_cosh_square, "spread_cosh_square"), check(sums.spread_sinh, "spread_sinh");
  check(sums.radius, "radius"), check(sums.excess_square, "excess_square");
  check(sums.paged_excess, "paged_excess"), check(sums.value_residual, "value_residual");
  check(sums.energy, "energy"), check(sums.energy_below, "energy_below"), check(sums.omitted, "omitted");
  check(sums.omitted_reach, "omitted_reach"), check(sums.output_rounding, "output_rounding");
  expects<ValueError>(output_norm >= 0.0 && std::isfinite(output_norm), "certify: output_norm is ", output_norm,
                      ", expected a finite number >= 0");
  const AttentionOutputBound output = closed_output(sums, output_norm, "certify");
  return {closed_tv(sums), output.error, output.relative};
}

double attention_tv_bound(const AttentionRead& read) {
  check_read(read, "attention_tv_bound");
  return closed_tv(read_sums(read));
}

AttentionOutputBound attention_output_bound(const AttentionRead& read) {
  check_read(read, "attention_output_bound");
  return closed_output(read_sums(read), read.output_norm, "attention_output_bound");
}

}  // namespace mpp::llm

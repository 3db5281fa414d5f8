#include <cmath>
#include <iterator>
#include <utility>

#include "closed_forms.hpp"
#include "mpp/core/error.hpp"
#include "mpp/llm/attention_bound.hpp"
#include "page_terms.hpp"
#include "read_sums.hpp"

namespace mpp::llm {
namespace {

using Sums = kernels::CertificateSums;
using Field = std::pair<const char*, double Sums::*>;
constexpr Field fields[] = {{"excess", &Sums::excess},
                            {"variance", &Sums::variance},
                            {"affinity", &Sums::affinity},
                            {"shrink", &Sums::shrink},
                            {"lift", &Sums::lift},
                            {"lift_variance", &Sums::lift_variance},
                            {"cosh_variance", &Sums::cosh_variance},
                            {"sinh", &Sums::sinh},
                            {"sinh_below", &Sums::sinh_below},
                            {"spread_lift", &Sums::spread_lift},
                            {"spread_lift_square", &Sums::spread_lift_square},
                            {"spread_cosh_square", &Sums::spread_cosh_square},
                            {"spread_sinh", &Sums::spread_sinh},
                            {"radius", &Sums::radius},
                            {"excess_square", &Sums::excess_square},
                            {"paged_excess", &Sums::paged_excess},
                            {"value_residual", &Sums::value_residual},
                            {"energy", &Sums::energy},
                            {"energy_below", &Sums::energy_below},
                            {"omitted", &Sums::omitted},
                            {"omitted_reach", &Sums::omitted_reach},
                            {"output_rounding", &Sums::output_rounding}};
static_assert(sizeof(Sums) == std::size(fields) * sizeof(double));

}  // namespace

AttentionCertificate certify(const kernels::CertificateSums& sums, double output_norm) {
  for (const auto& [name, field] : fields)
    expects<ValueError>(sums.*field >= 0.0, "certify: sums.", name, " is ", sums.*field, ", expected a number >= 0");
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

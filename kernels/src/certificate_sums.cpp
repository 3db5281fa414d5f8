#include <mpp/kernels/certificate_sums.hpp>

#include "src/dispatch.hpp"

namespace mpp::kernels {

void certificate_sums(const Context& context, const AttendShape& shape, std::span<const KvRead> reads,
                      std::span<CertificateSums> sums) {
  expects<ShapeError>(shape.group > 0, "certificate_sums: group is 0, expected at least 1");
  expects<ShapeError>(sums.size() == reads.size() * shape.group, "certificate_sums: sums has ", sums.size(),
                      " entries, expected ", reads.size() * shape.group, " for ", reads.size(), " reads of ",
                      shape.group, " heads");
  for (std::size_t i = 0; i < reads.size(); ++i) {
    const PageStatistics& of = reads[i].statistics;
    expects<ShapeError>(reads[i].page_count > 0, "certificate_sums: reads[", i, "] has no pages");
    expects<ShapeError>(of.max_logit != nullptr && of.mass != nullptr && of.radius != nullptr && of.spread != nullptr &&
                            of.energy != nullptr && of.value_spread != nullptr && of.value_residual != nullptr &&
                            of.value_reach != nullptr && reads[i].log_sum_exp != nullptr,
                        "certificate_sums: reads[", i, "] has no statistics, or an array of them is null");
  }
  dispatch(
      context, [&] { cpu::certificate_sums(context, shape, reads, sums); },
      [&] { cuda::certificate_sums(context, shape, reads, sums); });
}

}  // namespace mpp::kernels

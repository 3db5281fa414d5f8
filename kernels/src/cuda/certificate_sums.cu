// One block owns one head of one read. A thread takes every 128th page in double precision, so loads are contiguous, and the
// sums of the threads become one in a fixed tree. What becomes of the sums is the same on all devices: certificate_terms.hpp,
// on the host. The exponentials of CUDA err by at most 2^-52 of themselves, far less than certificate_slack() allows.
#include <algorithm>
#include <limits>
#include <vector>

#include "ops.hpp"
#include "read_batch.cuh"
#include "scratch.cuh"
#include "src/certificate_terms.hpp"

namespace mpp::kernels::cuda {
namespace {

constexpr unsigned block_width = 128;

struct Terms {
  double floor, page_weight, token_weight;  // certificate_floor(), certificate_page_weight()
};
constexpr std::size_t max_certificates = 200;
struct Certificates {
  unsigned group;
  KvRead read[max_certificates];
  Terms terms[max_certificates];
};
static_assert(sizeof(Certificates) < 32'000);  // what kernel parameters may take

__device__ void omit(double logit, double tokens, double reach, double log_sum_exp, PageTotals& totals) {
  constexpr double inf = std::numeric_limits<double>::infinity();
  if (logit == -inf || tokens == 0.0) return;
  const double exponent = logit - log_sum_exp;  // NaN makes the sum unknown
  totals.omitted += exp(exponent < least_certificate_exponent ? least_certificate_exponent : exponent) * tokens;
  totals.omitted_reach = reach >= 0.0 ? fmax(totals.omitted_reach, reach) : inf;
}

__device__ void add_page(const PageStatistics& of, std::size_t head_page, std::size_t page, double log_sum_exp,
                         const Terms& terms, PageTotals& totals) {
  const double logit = of.max_logit[head_page], mass = of.mass[head_page], c = of.radius[head_page];
  const double value_norm = of.value_reach[page];
  if (c == -1.0) return omit(logit, mass, value_norm, log_sum_exp, totals);
  if (mass == 0.0) return;
  const bool sane = c >= 0.0 && mass >= least_mass && !isnan(logit);
  const double share = exp(fmin(1.0, fmax(least_certificate_exponent, logit - log_sum_exp)));
  const double t = sane ? share * mass : std::numeric_limits<double>::quiet_NaN();
  const double h = expm1(fmin(0.5 * c, largest_half_radius)), left = 1.0 / (1.0 + h), rise = h * (h + 2.0);
  const double u = 0.5 * h * (h * left), half_cosh = u * (u + 2.0);
  totals.weight += t;
  totals.excess += t * rise;
  totals.excess_square += t * rise * rise;
  totals.variance += t * h * h;
  totals.affinity += t * left;
  totals.shrink += t * left * left;
  totals.lift += t * u;
  totals.lift_square += t * u * u;
  totals.half_cosh_square += t * half_cosh * half_cosh;
  totals.radius = fmax(totals.radius, c);
  const double share_reach = share * value_norm, energy = of.energy[head_page] + terms.floor * mass;
  totals.paged_excess += share_reach * sqrt(mass * energy) * rise;
  totals.value_residual += t * of.value_residual[page];
  totals.energy += share_reach * value_norm * energy;
  totals.output_rounding += share_reach * (terms.page_weight * mass + terms.token_weight);
  totals.reach = fmax(totals.reach, value_norm);
}

__device__ void merge(const PageTotals& other, PageTotals& totals) {
  totals.weight += other.weight;
  totals.excess += other.excess, totals.excess_square += other.excess_square, totals.variance += other.variance;
  totals.affinity += other.affinity, totals.shrink += other.shrink;
  totals.lift += other.lift, totals.lift_square += other.lift_square;
  totals.half_cosh_square += other.half_cosh_square;
  totals.radius = fmax(totals.radius, other.radius), totals.reach = fmax(totals.reach, other.reach);
  totals.paged_excess += other.paged_excess, totals.value_residual += other.value_residual;
  totals.energy += other.energy, totals.output_rounding += other.output_rounding;
  totals.omitted += other.omitted, totals.omitted_reach = fmax(totals.omitted_reach, other.omitted_reach);
}

// A PageTotals in a row of its own per thread: 17 doubles, an odd number of banks apart.
__global__ void __launch_bounds__(block_width)
    sums_kernel(const __grid_constant__ Certificates work, PageTotals* results) {
  __shared__ std::byte memory[block_width * sizeof(PageTotals)];
  auto* const of_thread = reinterpret_cast<PageTotals*>(memory);
  const KvRead& read = work.read[blockIdx.y];
  PageTotals totals;
  for (std::size_t page = threadIdx.x; page < read.page_count; page += block_width)
    add_page(read.statistics, blockIdx.x * read.page_count + page, page, read.log_sum_exp[blockIdx.x],
             work.terms[blockIdx.y], totals);
  for (unsigned half = block_width / 2; half > 0; half /= 2) {
    if (threadIdx.x >= half && threadIdx.x < 2 * half) of_thread[threadIdx.x] = totals;
    __syncthreads();
    if (threadIdx.x < half) merge(of_thread[threadIdx.x + half], totals);
  }
  if (threadIdx.x == 0) results[blockIdx.y * work.group + blockIdx.x] = totals;
}

}  // namespace

void certificate_sums(const Context& context, const AttendShape& shape, std::span<const KvRead> reads,
                      std::span<CertificateSums> sums) {
  constexpr const char* operation = "certificate_sums";
  if (reads.empty()) return;
  const std::size_t heads = reads.size() * shape.group;
  const Scratch<PageTotals> results(context, heads, operation);
  for (std::size_t first = 0; first < reads.size(); first += max_certificates) {
    Certificates work{.group = static_cast<unsigned>(shape.group)};
    const auto count = static_cast<unsigned>(std::min(max_certificates, reads.size() - first));
    for (unsigned i = 0; i < count; ++i) {
      work.read[i] = reads[first + i];
      const AttendRounding rounding = attend_rounding(work.read[i].page_count);
      work.terms[i] = {certificate_floor(rounding), certificate_page_weight(rounding), rounding.token_weight};
    }
    sums_kernel<<<dim3(work.group, count), block_width, 0, stream_of(context)>>>(work,
                                                                                 results.get() + first * shape.group);
    check_launch(operation);
  }
  std::vector<PageTotals> totals(heads);
  check(cudaMemcpyAsync(totals.data(), results.get(), heads * sizeof(PageTotals), cudaMemcpyDeviceToHost,
                        stream_of(context)),
        operation);
  finish(context, operation);
  for (std::size_t i = 0; i < heads; ++i) {
    const std::size_t pages = reads[i / shape.group].page_count;
    sums[i] = closed_sums(totals[i], attend_rounding(pages), pages);
  }
}

}  // namespace mpp::kernels::cuda

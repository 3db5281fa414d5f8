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
  double floor, page_weight, token_weight, root;  // certificate_floor() and so on
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
  const double spread = of.spread[head_page];
  const bool sane = c >= 0.0 && spread >= 0.0 && mass >= least_mass && !isnan(logit);
  const double share = exp(fmin(1.0, fmax(least_certificate_exponent, logit - log_sum_exp)));
  const double t = sane ? share * mass : std::numeric_limits<double>::quiet_NaN();
  const double h = expm1(fmin(0.5 * c, largest_half_radius)), left = 1.0 / (1.0 + h), rise = h * (h + 2.0);
  const double u = 0.5 * h * (h * left), half_cosh = u * (u + 2.0);
  const double sinh = 0.5 * (rise + h * left * (1.0 + left));
  // The mean radius of the page, at most c. A radius that is not finite makes its terms infinite, or no numbers.
  const double per_root = terms.root / sqrt(mass);
  const double mean = fmin(spread * per_root, c);
  const double r = c > 0.0 ? mean / c : 1.0, r_rise = r * rise;
  totals.weight += t;
  totals.excess += t * r_rise;
  totals.excess_square += t * r_rise * r_rise;
  totals.variance += t * (r * h) * (r * h);
  totals.affinity += t * fmax(left, 1.0 - 0.5 * mean);
  totals.shrink += t * fmax(left * left, 1.0 - mean);
  totals.plain_excess += t * rise;
  totals.lift += t * u;
  totals.lift_square += t * u * u;
  totals.half_cosh_square += t * half_cosh * half_cosh;
  totals.spread_lift += t * r * r * u;
  totals.spread_lift_square += t * r * r * u * u;
  totals.spread_half_cosh_square += t * r * r * half_cosh * half_cosh;
  totals.spread_sinh += t * r * sinh;
  totals.radius = fmax(totals.radius, c);
  const double share_reach = share * value_norm, energy = of.energy[head_page] + terms.floor * mass;
  const double residual = of.value_residual[page], together = of.value_spread[page];
  totals.paged_excess += share_reach * sqrt(mass * energy) * r_rise;
  // A spread that is NaN or negative says nothing, and neither does what stands beside such a residual.
  const double limit = together >= 0.0 ? together * per_root : residual;
  totals.value_residual += t * (residual >= 0.0 ? fmin(residual, limit) : std::numeric_limits<double>::infinity());
  totals.energy += share_reach * value_norm * energy;
  totals.output_rounding += share_reach * (terms.page_weight * mass + (residual > 0.0 ? terms.token_weight : 0.0));
  totals.reach = fmax(totals.reach, value_norm);
}

__device__ void merge(const PageTotals& other, PageTotals& totals) {
  totals.weight += other.weight;
  totals.excess += other.excess, totals.excess_square += other.excess_square, totals.variance += other.variance;
  totals.affinity += other.affinity, totals.shrink += other.shrink, totals.plain_excess += other.plain_excess;
  totals.lift += other.lift, totals.lift_square += other.lift_square;
  totals.half_cosh_square += other.half_cosh_square;
  totals.spread_lift += other.spread_lift, totals.spread_lift_square += other.spread_lift_square;
  totals.spread_half_cosh_square += other.spread_half_cosh_square, totals.spread_sinh += other.spread_sinh;
  totals.radius = fmax(totals.radius, other.radius), totals.reach = fmax(totals.reach, other.reach);
  totals.paged_excess += other.paged_excess, totals.value_residual += other.value_residual;
  totals.energy += other.energy, totals.output_rounding += other.output_rounding;
  totals.omitted += other.omitted, totals.omitted_reach = fmax(totals.omitted_reach, other.omitted_reach);
}

struct Row : PageTotals {
  double apart;  // 23 doubles: neighbours in different banks
};
static_assert(sizeof(Row) == 23 * sizeof(double));

__global__ void __launch_bounds__(block_width)
    sums_kernel(const __grid_constant__ Certificates work, PageTotals* results) {
  __shared__ __align__(8) std::byte memory[block_width / 2 * sizeof(Row)];
  auto* const sent = reinterpret_cast<Row*>(memory);
  const KvRead& read = work.read[blockIdx.y];
  PageTotals totals;
  for (std::size_t page = threadIdx.x; page < read.page_count; page += block_width)
    add_page(read.statistics, blockIdx.x * read.page_count + page, page, read.log_sum_exp[blockIdx.x],
             work.terms[blockIdx.y], totals);
  for (unsigned half = block_width / 2; half > 0; half /= 2) {
    if (threadIdx.x >= half && threadIdx.x < 2 * half) static_cast<PageTotals&>(sent[threadIdx.x - half]) = totals;
    __syncthreads();
    if (threadIdx.x < half) merge(sent[threadIdx.x], totals);
    __syncthreads();
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
      work.terms[i] = {certificate_floor(rounding), certificate_page_weight(rounding), rounding.token_weight,
                       certificate_root(rounding)};
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

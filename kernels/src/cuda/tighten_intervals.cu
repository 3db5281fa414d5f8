// One thread owns one row. Survivors of the screen are few: nothing here is worth more than a plain loop.
#include "check.cuh"
#include "interval.cuh"
#include "ops.hpp"

namespace mpp::kernels::cuda {
namespace {

constexpr unsigned block_width = 256;

__global__ void tighten_kernel(const std::int32_t* dots, std::size_t n, const PlaneFactors* factors, const float* base,
                               ScoreFrame frame, ScoreInterval* intervals) {
  const std::size_t row = std::size_t{blockIdx.x} * block_width + threadIdx.x;
  if (row >= n) return;
  const PlaneFactors f = factors[row];
  ScoreInterval interval = intervals[row];
  const float scale = device_float(f.scale), norm = device_float(f.norm);
  const CodedTerms terms = coded_terms(dots[row], scale, norm, frame);
  intersect(score_interval(dots[row], base[row], scale, device_float(f.residual), norm, terms, frame), interval);
  intervals[row] = interval;
}

}  // namespace

void tighten_intervals(const Context& context, std::span<const std::int32_t> dots,
                       std::span<const PlaneFactors> factors, std::span<const float> base, const ScoreFrame& frame,
                       std::span<ScoreInterval> intervals) {
  constexpr const char* operation = "tighten_intervals";
  if (dots.empty()) return;
  tighten_kernel<<<grid_of(dots.size(), block_width, operation), block_width, 0, stream_of(context)>>>(
      dots.data(), dots.size(), factors.data(), base.data(), frame, intervals.data());
  check_launch(operation);
  finish(context, operation);
}

}  // namespace mpp::kernels::cuda

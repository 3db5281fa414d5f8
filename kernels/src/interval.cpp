#include <mpp/kernels/interval.hpp>

#include "src/dispatch.hpp"

namespace mpp::kernels {
namespace {

void expects_blocks(const char* op, std::span<const std::int16_t> dots, const BlockRows& rows) {
  const std::size_t n = dots.size();
  expects<ShapeError>(n % block_rows == 0, op, ": dots has ", n, " rows, expected a multiple of ", block_rows);
  expects<ShapeError>(rows.factors.scale.size() == n && rows.factors.residual.size() == n, op, ": factors has ",
                      rows.factors.scale.size(), " scales and ", rows.factors.residual.size(), " residuals, expected ",
                      n);
  expects<ShapeError>(rows.factors.norm.empty() || rows.factors.norm.size() == n, op, ": factors has ",
                      rows.factors.norm.size(), " norms, expected 0 or ", n);
  expects<ShapeError>(rows.block_offset.size() == n / block_rows, op, ": block_offset has ", rows.block_offset.size(),
                      " values, expected ", n / block_rows);
  expects<ShapeError>(rows.bias.empty() || rows.bias.size() == n, op, ": bias has ", rows.bias.size(),
                      " values, expected 0 or ", n);
  expects<ShapeError>(rows.top_scale.empty() || rows.top_scale.size() == n / block_rows, op, ": top_scale has ",
                      rows.top_scale.size(), " values, expected 0 or ", n / block_rows);
  expects<ShapeError>(rows.top_residual.empty() || rows.top_residual.size() == n / block_rows, op,
                      ": top_residual has ", rows.top_residual.size(), " values, expected 0 or ", n / block_rows);
  expects<ShapeError>(rows.allowed.size() == n / block_rows, op, ": allowed has ", rows.allowed.size(),
                      " words, expected ", n / block_rows);
}

}  // namespace

std::size_t best_midpoints(const Context& context, std::span<const std::int16_t> dots, const BlockRows& rows,
                           const ScoreFrame& frame, std::span<Candidate> best, float least) {
  expects_blocks("best_midpoints", dots, rows);
  return dispatch(
      context, [&] { return cpu::best_midpoints(context, dots, rows, frame, best, least); },
      [&] { return cuda::best_midpoints(context, dots, rows, frame, best, least); });
}

Reach mark_reaching(const Context& context, std::span<const std::int16_t> dots, const BlockRows& rows,
                    const ScoreFrame& frame, float threshold, std::span<std::uint64_t> marked) {
  expects_blocks("mark_reaching", dots, rows);
  expects<ShapeError>(marked.size() == rows.allowed.size(), "mark_reaching: marked has ", marked.size(),
                      " words, expected ", rows.allowed.size());
  return dispatch(
      context, [&] { return cpu::mark_reaching(context, dots, rows, frame, threshold, marked); },
      [&] { return cuda::mark_reaching(context, dots, rows, frame, threshold, marked); });
}

void compact_marked(const Context& context, std::span<const std::uint64_t> marked, std::span<std::uint32_t> rows) {
  dispatch(
      context, [&] { cpu::compact_marked(context, marked, rows); },
      [&] { cuda::compact_marked(context, marked, rows); });
}

void tighten_intervals(const Context& context, std::span<const std::int32_t> dots,
                       std::span<const PlaneFactors> factors, std::span<const float> base, const ScoreFrame& frame,
                       std::span<ScoreInterval> intervals) {
  const std::size_t n = dots.size();
  expects<ShapeError>(factors.size() == n && base.size() == n && intervals.size() == n,
                      "tighten_intervals: factors has ", factors.size(), ", base ", base.size(), ", intervals ",
                      intervals.size(), " rows, expected ", n);
  dispatch(
      context, [&] { cpu::tighten_intervals(context, dots, factors, base, frame, intervals); },
      [&] { cuda::tighten_intervals(context, dots, factors, base, frame, intervals); });
}

}  // namespace mpp::kernels

#pragma once
// Before anything is timed: every operation equals its plain reference on a sample, bit for bit where the library says
// so, and the pass over all rows leaves the k best open.
#include <mpp/core/error.hpp>

#include "reference/interval.hpp"
#include "reference/rescore.hpp"
#include "reference/screen.hpp"
#include "screen_pass.hpp"

namespace mpp::bench {

inline void must(bool holds, const char* claim) {
  expects<std::logic_error>(holds, "bench_screen: ", claim, " is wrong, nothing was timed");
}

template <class T>
std::vector<std::int64_t> widened(const std::vector<T>& values) {
  return {values.begin(), values.end()};
}

/// The operations on the first rows, coded anew.
class SampleCheck {
 public:
  SampleCheck(const Context& context, const SeededRows& seeded, std::span<CodedQuery> queries)
      : context_(context), dims_(seeded.dims()), n_(std::min<std::size_t>(seeded.rows(), 32 * block_rows)),
        queries_(queries), parts_(coded_parts(seeded, 0, n_)), code_(context, n_, dims_) {}

  void run() {
    quantized();
    for (const std::size_t batch : {1, 2, 4, 8, 64}) screened(std::min(batch, queries_.size()));
    refined();
    selected();
    ranked();
  }

 private:
  std::vector<std::uint8_t> codes(std::size_t plane) const { return code_.codes[plane].to_host(); }

  void quantized() {
    const DeviceArray<float> rows(context_, parts_);
    kernels::quantize_nested(context_, rows.span(), dims_, 0, 1.0F, code_.out);
    std::array<std::vector<std::uint8_t>, kernels::planes> host;
    for (std::size_t p = 0; p < kernels::planes; ++p) host[p] = codes(p);
    for (std::size_t p = 0; p < kernels::planes; ++p) {
      const auto factors = code_.factors[p].to_host();
      for (std::size_t i = 0; i < n_; ++i)
        must(reference::broken_promise(std::span(parts_).subspan(i * dims_, dims_),
                                       reference::code_values(host, i, p, dims_), factors[i], 0)
                 .empty(),
             "quantize_nested");
    }
    blocks_ = DeviceArray<std::uint8_t>(context_, kernels::blocked_bytes(n_, dims_));
    kernels::pack_blocks(context_, code_.codes[0].span(), dims_, blocks_.span());
    must(blocks_.to_host() == reference::pack_blocks(host[0], dims_), "pack_blocks");
  }

  void screened(std::size_t batch) {
    std::vector<kernels::ScreenQuery> views;
    for (std::size_t q = 0; q < batch; ++q) {
      dots_.resize(std::max(dots_.size(), q + 1));
      dots_[q] = DeviceArray<std::int16_t>(context_, n_);
      views.push_back({queries_[q].table.span(), dots_[q].span()});
    }
    kernels::screen(context_, blocks_.span(), dims_, views);
    for (std::size_t q = 0; q < batch; ++q)
      must(widened(dots_[q].to_host()) == reference::screen(codes(0), dims_, queries_[q].code), "screen");
  }

  void refined() {
    std::vector<std::uint64_t> every_third(n_ / block_rows, 0);
    for (std::size_t b = 0; b < every_third.size(); b += 3) every_third[b] = 1;
    const DeviceArray<std::uint64_t> open(context_, every_third);
    const DeviceArray<std::int16_t> dots(context_, dots_[0].to_host());
    DeviceArray<std::int16_t> more(context_, dots_[0].to_host());
    const kernels::RefineQuery view{queries_[0].table.span(), more.span(), open.span()};
    kernels::refine_blocks(context_, blocks_.span(), dims_, std::span(&view, 1));
    auto expected = widened(dots.to_host());
    const auto extended = reference::refine_dots(codes(0), 1, queries_[0].code, expected);
    for (std::size_t i = 0; i < n_; ++i)
      if (every_third[i / block_rows] != 0) expected[i] = extended[i];
    must(widened(more.to_host()) == expected, "refine_blocks");

    const DeviceArray<std::int16_t> code(context_, queries_[0].code);
    DeviceArray<std::int32_t> fine(context_, n_);
    kernels::refine_dots(context_, code_.codes[2].span(), 2, code.span(), fine.span());
    must(widened(fine.to_host()) ==
             reference::refine_dots(codes(2), 2, queries_[0].code, std::vector<std::int64_t>(n_, 0)),
         "refine_dots");
  }

  /// best_midpoints, mark_reaching and compact_marked, with every fifth block closed.
  void selected() {
    const auto factors = code_.factors[0].to_host();
    std::vector<Half> scale, residual, norm;
    for (const kernels::PlaneFactors& f : factors) {
      scale.push_back(f.scale);
      residual.push_back(f.residual);
      norm.push_back(f.norm);
    }
    std::vector<float> offset = queries_[0].block_offset.to_host();
    offset.resize(n_ / block_rows);
    std::vector<std::uint64_t> allowed(n_ / block_rows, ~std::uint64_t{0});
    for (std::size_t b = 0; b < allowed.size(); b += 5) allowed[b] = 0;
    const kernels::BlockRows host_rows{{scale, residual, 0.0F, norm}, offset, {}, allowed};
    const kernels::ScoreFrame& frame = queries_[0].frame[0];
    const auto dots = dots_[0].to_host();
    auto expected = reference::midpoints(dots, host_rows, frame);
    expected.resize(std::min(expected.size(), ThresholdPass::pilot));

    const DeviceArray<Half> a(context_, scale), r(context_, residual), v(context_, norm);
    const DeviceArray<float> base(context_, offset);
    const DeviceArray<std::uint64_t> bits(context_, allowed);
    const kernels::BlockRows rows{{a.span(), r.span(), 0.0F, v.span()}, base.span(), {}, bits.span()};
    DeviceArray<kernels::Candidate> best(context_, ThresholdPass::pilot);
    const std::size_t found = kernels::best_midpoints(context_, dots_[0].span(), rows, frame, best.span());
    must(found == expected.size(), "the number of best_midpoints");
    const auto candidates = best.to_host();
    const float rounding = 0x1p-21F * 4.0F;  // a few float operations on sums below 4
    for (std::size_t i = 0; i < found; ++i) {
      must(std::fabs(candidates[i].score - expected[i].score) <= rounding, "best_midpoints");
      must(i == 0 || candidates[i - 1].score >= candidates[i].score, "the order of best_midpoints");
    }

    // 2 % of the half-width is what the tangents of the CPU may add (interval.hpp).
    const float threshold = expected.empty() ? 0.0F : expected.back().score;
    DeviceArray<std::uint64_t> marked(context_, allowed.size());
    kernels::mark_reaching(context_, dots_[0].span(), rows, frame, threshold, marked.span());
    const auto words = marked.to_host();
    for (std::size_t i = 0; i < n_; ++i) {
      const bool is_marked = (words[i / block_rows] >> (i % block_rows) & 1U) != 0;
      if (!reference::allowed(host_rows, i)) {
        must(!is_marked, "mark_reaching of a row that is not allowed");
        continue;
      }
      const auto s = reference::interval(dots, host_rows, frame, i);
      must(is_marked || s.upper < threshold, "mark_reaching");
      must(!is_marked || s.upper + 0.1L * (s.upper - s.mid) >= threshold, "the sharpness of mark_reaching");
    }
    const auto rows_marked = reference::set_bits(words);
    DeviceArray<std::uint32_t> list(context_, rows_marked.size());
    kernels::compact_marked(context_, marked.span(), list.span());
    must(list.to_host() == rows_marked, "compact_marked");
  }

  void ranked() {
    const DeviceArray<float> rows(context_, parts_), query(context_, queries_[0].values);
    DeviceArray<double> scores(context_, n_);
    kernels::rescore(context_, rows.span(), query.span(), kernels::Metric::inner_product, scores.span());
    std::vector<kernels::Scored> items(n_);
    const auto exact = scores.to_host();
    for (std::size_t i = 0; i < n_; ++i) {
      items[i] = {reference::ordered_score(std::span(parts_).subspan(i * dims_, dims_), queries_[0].values,
                                           kernels::Metric::inner_product),
                  i};
      must(items[i].score == exact[i], "rescore");
    }
    DeviceArray<kernels::Scored> device_items(context_, items);
    kernels::topk(context_, device_items.span(), ThresholdPass::k);
    auto best = device_items.to_host();
    best.resize(std::min(n_, ThresholdPass::k));
    must(best == reference::topk(items, ThresholdPass::k), "topk");
  }

  Context context_;
  std::size_t dims_, n_;
  std::span<CodedQuery> queries_;
  std::vector<float> parts_;
  DeviceCode code_;
  DeviceArray<std::uint8_t> blocks_;
  std::vector<DeviceArray<std::int16_t>> dots_;
};

/// After a pass: the k best of all rows by exact scores are open.
inline void check_pass(std::span<const float> exact, const CodedQuery& query) {
  const std::size_t n = exact.size() / query.values.size();
  std::vector<double> scores(n);
  kernels::rescore({}, exact, query.values, kernels::Metric::inner_product, scores);
  std::vector<kernels::Scored> items(n);
  for (std::size_t i = 0; i < n; ++i) items[i] = {scores[i], i};
  const std::size_t kept = kernels::topk({}, items, ThresholdPass::k);
  const auto open = query.open.to_host();
  for (std::size_t i = 0; i < kept; ++i)
    must((open[items[i].id / block_rows] >> (items[i].id % block_rows) & 1U) != 0, "the pass: it lost one of the best");
}

}  // namespace mpp::bench

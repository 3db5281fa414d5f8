#pragma once
// A "threshold first" pass over planes 0 and 1, as a ranking tier on this device would chain the operations. The rows
// themselves stay in host memory, so their few exact scores are made there, next to them.
#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include <mpp/kernels/rescore.hpp>
#include <mpp/kernels/topk.hpp>

#include "screen_scene.hpp"

namespace mpp::bench {

class ThresholdPass {
 public:
  static constexpr std::size_t k = 10;
  static constexpr std::size_t pilot = 40;  // rows that are rescored for the threshold

  /// @param exact  [rows, dims] in host memory; must outlive the pass, as `rows` must
  ThresholdPass(const Context& context, const CodedRows& rows, std::span<const float> exact, std::size_t dims)
      : context_(context), rows_(rows), exact_(exact), dims_(dims), best_(context, pilot),
        live_(context, std::vector<std::uint64_t>(exact.size() / dims / block_rows, ~std::uint64_t{0})) {}

  /// Leaves in query.open the rows that planes 0 and 1 cannot exclude from the k best.
  void run(std::span<CodedQuery> queries) {
    screen(queries);
    threshold.clear();
    for (CodedQuery& query : queries) {
      threshold.push_back(threshold_of(query));
      mark(query, 0, live_.span(), threshold.back());
    }
    std::vector<kernels::RefineQuery> views;
    for (CodedQuery& query : queries) views.push_back({query.table.span(), query.dots.span(), query.open.span()});
    kernels::refine_blocks(context_, rows_.plane[1].signs.span(), dims_, views);
    for (std::size_t q = 0; q < queries.size(); ++q) mark(queries[q], 1, queries[q].open.span(), threshold[q]);
  }

  void screen(std::span<CodedQuery> queries) const {
    std::vector<kernels::ScreenQuery> views;
    for (CodedQuery& query : queries) views.push_back({query.table.span(), query.dots.span()});
    kernels::screen(context_, rows_.plane[0].signs.span(), dims_, views);
  }

  /// The best midpoints after plane 0, in the memory of the device. Returns how many there are.
  std::size_t best_midpoints(const CodedQuery& query) {
    return kernels::best_midpoints(context_, query.dots.span(),
                                   rows_.block_rows_of(0, query.block_offset.span(), live_.span()), query.frame[0],
                                   best_.span());
  }
  std::span<const kernels::Candidate> best() const { return best_.span(); }

  kernels::Reach mark(CodedQuery& query, std::size_t plane, std::span<const std::uint64_t> allowed,
                      float reach_for) const {
    return kernels::mark_reaching(context_, query.dots.span(),
                                  rows_.block_rows_of(plane, query.block_offset.span(), allowed), query.frame[plane],
                                  reach_for, query.open.span());
  }
  std::span<const std::uint64_t> live() const { return live_.span(); }

  /// The k-th best exact score of the pilot, rounded down.
  float threshold_of(const CodedQuery& query) {
    const std::size_t found = best_midpoints(query);
    const std::vector<kernels::Candidate> candidates = best_.to_host();
    gathered_.resize(found * dims_);
    scores_.resize(found);
    for (std::size_t i = 0; i < found; ++i)
      std::copy_n(exact_.data() + candidates[i].row * dims_, dims_, gathered_.data() + i * dims_);
    kernels::rescore({}, gathered_, query.values, kernels::Metric::inner_product, scores_);
    ranked_.resize(found);
    for (std::size_t i = 0; i < found; ++i) ranked_[i] = {scores_[i], candidates[i].row};
    constexpr float none = -std::numeric_limits<float>::infinity();
    if (kernels::topk({}, ranked_, k) < k) return none;
    return std::nextafter(static_cast<float>(ranked_[k - 1].score), none);
  }

  std::vector<float> threshold;  ///< of every query of the last run

 private:
  Context context_;
  const CodedRows& rows_;
  std::span<const float> exact_;
  std::size_t dims_;
  DeviceArray<kernels::Candidate> best_;
  DeviceArray<std::uint64_t> live_;
  std::vector<float> gathered_;
  std::vector<double> scores_;
  std::vector<kernels::Scored> ranked_;
};

}  // namespace mpp::bench

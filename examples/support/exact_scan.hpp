#pragma once
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <vector>

#include <mpp/kernels/rescore.hpp>
#include <mpp/kernels/topk.hpp>
#include <mpp/ranking/rank_tier.hpp>

namespace mpp::examples {

/// What an engine without levels does: score every fp32 row with kernels::rescore, keep the best with kernels::topk.
/// One thread, buffers allocated once. Its scores are those of the exact level, bit by bit.
class ExactScan {
 public:
  /// @param rows [items, dims], borrowed: they must outlive the scan
  ExactScan(std::span<const float> rows, std::size_t dims)
      : rows_(rows), dims_(dims), scores_(rows.size() / dims), scored_(scores_.size()) {}

  /// The k best by inner product, best first.
  [[nodiscard]] std::vector<kernels::Scored> best(std::span<const float> query, std::size_t k) {
    kernels::rescore({}, rows_, query, kernels::Metric::inner_product, scores_);
    for (std::size_t i = 0; i < scores_.size(); ++i) scored_[i] = {scores_[i], i};
    const std::size_t kept = kernels::topk({}, scored_, k);
    return {scored_.begin(), scored_.begin() + static_cast<std::ptrdiff_t>(kept)};
  }

  [[nodiscard]] double score(std::span<const float> query, std::uint64_t id) const {
    double score = 0.0;
    kernels::rescore({}, rows_.subspan(id * dims_, dims_), query, kernels::Metric::inner_product, std::span(&score, 1));
    return score;
  }

  /// Score regret of an answer: the largest difference, position by position, between the exact scores and the true
  /// scores of what was returned. An answer that is too short misses its positions altogether: infinity.
  [[nodiscard]] double regret(std::span<const float> query, const std::vector<kernels::Scored>& exact,
                              const ranking::Ranking& answer) const;

 private:
  std::span<const float> rows_;
  std::size_t dims_;
  std::vector<double> scores_;
  std::vector<kernels::Scored> scored_;
};

inline double ExactScan::regret(std::span<const float> query, const std::vector<kernels::Scored>& exact,
                                const ranking::Ranking& answer) const {
  if (answer.items.size() != exact.size()) return std::numeric_limits<double>::infinity();
  double largest = 0.0;
  for (std::size_t j = 0; j < exact.size(); ++j)
    largest = std::max(largest, exact[j].score - score(query, answer.items[j].id));
  return largest;
}

}  // namespace mpp::examples

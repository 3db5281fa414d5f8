#pragma once
#include <algorithm>
#include <cstdint>
#include <set>
#include <span>
#include <vector>

#include "reference/rescore.hpp"

namespace mpp::reference {

using kernels::Metric;
using kernels::Scored;

/// A pool as a plain list of rows, ranked by looking at all of them: what an answer with epsilon = 0 has to equal.
class PlainPool {
 public:
  PlainPool(std::span<const float> rows, std::size_t dims, Metric metric) : dims_(dims), metric_(metric) { add(rows); }

  void add(std::span<const float> rows) { rows_.insert(rows_.end(), rows.begin(), rows.end()); }
  void remove(std::uint64_t id) { removed_.insert(id); }
  std::size_t size() const { return rows_.size() / dims_ - removed_.size(); }

  double score(std::uint64_t id, std::span<const float> query) const {
    return ordered_score(std::span(rows_).subspan(id * dims_, dims_), query, metric_);
  }
  /// The k best rows, or those of `allowed`, best first.
  std::vector<Scored> top(std::span<const float> query, std::size_t k,
                          const std::set<std::uint64_t>* allowed = nullptr) const {
    std::vector<Scored> all;
    for (std::uint64_t id = 0; id < rows_.size() / dims_; ++id)
      if (!removed_.contains(id) && (allowed == nullptr || allowed->contains(id)))
        all.push_back({score(id, query), id});
    std::sort(all.begin(), all.end(),
              [](const Scored& a, const Scored& b) { return a.score != b.score ? a.score > b.score : a.id < b.id; });
    all.resize(std::min(k, all.size()));
    return all;
  }

 private:
  std::size_t dims_;
  Metric metric_;
  std::vector<float> rows_;
  std::set<std::uint64_t> removed_;
};

}  // namespace mpp::reference

#pragma once
#include "read_shape.hpp"

namespace mpp::llm {

/// Chooses the pages that the next level promotes, by what the read just done knows of them.
class PromotionPlan {
 public:
  /// @param aim  the predicted certificate shall be at most this part of epsilon
  PromotionPlan(const AttentionRequest& request, AttentionState& state, double aim);
  /// Writes the targets of all KV heads with a query whose certificate is not within epsilon.
  void make();

 private:
  using Statistics = kernels::PageStatistics;  // of one KV head, or a copy of them
  double gain_of_keys(const Statistics& of, std::size_t kv_head, std::size_t page) const noexcept;
  double gain_of_values(const Statistics& of, std::size_t kv_head, std::size_t page) const noexcept;
  void list_steps(std::size_t kv_head);
  double predict(std::size_t kv_head, std::size_t steps) const;
  void take(std::size_t kv_head, std::size_t steps) noexcept;

  const AttentionRequest& request_;
  AttentionState& state_;
  double limit_;
  ReadShape shape_;
};

}  // namespace mpp::llm

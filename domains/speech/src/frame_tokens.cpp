#include <algorithm>
#include <cmath>
#include <limits>

#include <mpp/speech/frame_tokens.hpp>

namespace mpp::speech {

FrameTokens::FrameTokens(std::pmr::memory_resource* memory, std::size_t tokens)
    : probability_(memory), labels_(memory) {
  probability_.resize(tokens);
  labels_.reserve(tokens);
}

void FrameTokens::prepare(std::span<const float> row, std::size_t blank, double threshold) {
  blank_ = blank;
  labels_.clear();
  rest_ = most_ = first_label_ = second_label_ = sum_ = 0.0;
  for (std::size_t k = 0; k < row.size(); ++k) {
    // What is possible stays positive: the search drops and counts it, and products with masses must not underflow.
    double p = 0.0;
    if (row[k] > -std::numeric_limits<float>::infinity()) p = std::max(std::exp(static_cast<double>(row[k])), 0x1p-300);
    probability_[k] = p;
    sum_ += p;
    most_ = std::max(most_, p);
    if (k == blank) continue;
    second_label_ = std::max(second_label_, std::min(first_label_, p));
    first_label_ = std::max(first_label_, p);
    if (p > 0.0 && p >= threshold)
      labels_.push_back(static_cast<std::uint32_t>(k));
    else
      rest_ = std::max(rest_, p);
  }
  sum_ *= 1.0 + static_cast<double>(row.size() + 2) * 0x1p-52;
  std::sort(labels_.begin(), labels_.end(), [this](std::uint32_t a, std::uint32_t b) {
    return probability_[a] != probability_[b] ? probability_[a] > probability_[b] : a < b;
  });
}

void FrameTokens::normalise() {
  for (double& p : probability_) p /= sum_;
  for (double* const p : {&rest_, &most_, &first_label_, &second_label_}) *p /= sum_;
  sum_ = 1.0 + 0x1p-52;  // each quotient rounds up by 2^-53 of itself at most, and sum_ was not below their sum
}

}  // namespace mpp::speech

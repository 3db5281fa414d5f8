#pragma once
// A read of a group of queries over the pages of one head, what it reports, and its certificates.
#include <cmath>

#include <mpp/kernels/certificate_sums.hpp>
#include <mpp/llm/attention_bound.hpp>

#include "attention_head.hpp"

namespace mpp::bench {

/// Buffers of one read, reused from call to call.
class GroupRead {
 public:
  GroupRead(const CodedHead& head, std::size_t group, float scale)
      : shape_{head.head_dim(), group, head.type(), scale}, output_(group * head.head_dim()), log_sum_exp_(group),
        sums_(group) {}

  void levels(std::vector<KvPage> pages) {
    pages_ = std::move(pages);
    for (auto& array : per_head_) array.resize(shape_.group * pages_.size());
    for (auto& array : per_page_) array.resize(pages_.size());
  }

  /// @param queries  [group][head_dim], kept alive by the caller until the next call
  void run(std::span<const float> queries) {
    read_ = {pages_.data(),
             pages_.size(),
             queries.data(),
             output_.data(),
             log_sum_exp_.data(),
             {per_head_[0].data(), per_head_[1].data(), per_head_[2].data(), per_head_[3].data(), per_head_[4].data(),
              per_page_[0].data(), per_page_[1].data(), per_page_[2].data()}};
    kernels::attend_paged({}, shape_, std::span(&read_, 1));
    kernels::certificate_sums({}, shape_, std::span(&read_, 1), sums_);
  }

  [[nodiscard]] const kernels::AttendShape& shape() const { return shape_; }
  [[nodiscard]] std::span<const KvPage> pages() const { return pages_; }
  [[nodiscard]] std::span<const float> output(std::size_t head) const {
    return std::span(output_).subspan(head * shape_.head_dim, shape_.head_dim);
  }
  [[nodiscard]] double output_norm(std::size_t head) const {
    double sum = 0.0;
    for (const float x : output(head)) sum += static_cast<double>(x) * static_cast<double>(x);
    return std::sqrt(sum);
  }
  [[nodiscard]] double log_sum_exp(std::size_t head) const { return log_sum_exp_[head]; }
  [[nodiscard]] double max_logit(std::size_t head, std::size_t page) const { return at(0, head, page); }
  [[nodiscard]] double mass(std::size_t head, std::size_t page) const { return at(1, head, page); }
  [[nodiscard]] double radius(std::size_t head, std::size_t page) const { return at(2, head, page); }
  [[nodiscard]] double spread(std::size_t head, std::size_t page) const { return at(3, head, page); }
  [[nodiscard]] double value_residual(std::size_t page) const { return static_cast<double>(per_page_[0][page]); }
  [[nodiscard]] double value_spread(std::size_t page) const { return static_cast<double>(per_page_[1][page]); }
  /// Of the softmax, in the heaviest token of a page; and in the page.
  [[nodiscard]] double heaviest(std::size_t head, std::size_t page) const {
    return std::exp(max_logit(head, page) - log_sum_exp_[head]);
  }
  [[nodiscard]] double share(std::size_t head, std::size_t page) const {
    return mass(head, page) * heaviest(head, page);
  }
  /// What a token of the page is off by on average at most, c'.
  [[nodiscard]] double mean_radius(std::size_t head, std::size_t page) const {
    return std::min(radius(head, page), spread(head, page) / std::sqrt(mass(head, page)));
  }
  /// (A^2 - 1) / 2 with A = sum m e^c: of the radii alone, masses rounded up as those of certificate_sums() are.
  [[nodiscard]] double e_form(std::size_t head) const {
    double excess = 0.0;
    for (std::size_t p = 0; p < pages_.size(); ++p)
      if (radius(head, p) >= 0.0) excess += share(head, p) * std::expm1(radius(head, p));
    const kernels::AttendRounding rounding = kernels::attend_rounding(pages_.size());
    excess *= 1.0 + 2.0 * (rounding.mass + rounding.weight + rounding.log_sum_exp);
    return excess * (1.0 + 0.5 * excess);
  }
  [[nodiscard]] const kernels::CertificateSums& sums(std::size_t head) const { return sums_[head]; }
  [[nodiscard]] llm::AttentionCertificate certificate(std::size_t head) const {
    return llm::certify(sums_[head], output_norm(head));
  }
  /// The largest total variation that any cache within the radii can have; no page may be omitted.
  [[nodiscard]] double tv_supremum(std::size_t head) const {
    const kernels::AttendRounding rounding = kernels::attend_rounding(pages_.size());
    const double off =
        rounding.mass + rounding.weight + rounding.log_sum_exp * std::max(1.0, std::fabs(log_sum_exp_[head])) + 1e-12;
    std::vector<llm::AttentionPage> pages;
    for (std::size_t p = 0; p < pages_.size(); ++p) {
      pages.push_back({.mass = share(head, p), .radius = radius(head, p), .spread = spread(head, p)});
      pages.back().heaviest = heaviest(head, p) * (1.0 + 2.0 * off);
    }
    llm::AttentionRead read;
    read.pages = pages;
    read.rounding.mass = {off, static_cast<double>(page_tokens) * rounding.flushed};
    return llm::attention_tv_supremum(read);
  }

 private:
  [[nodiscard]] double at(std::size_t array, std::size_t head, std::size_t page) const {
    return static_cast<double>(per_head_[array][head * pages_.size() + page]);
  }

  kernels::AttendShape shape_;
  kernels::KvRead read_;
  std::vector<KvPage> pages_;
  std::vector<float> output_;
  std::vector<double> log_sum_exp_;
  std::array<std::vector<float>, 5> per_head_;
  std::array<std::vector<float>, 3> per_page_;
  std::vector<kernels::CertificateSums> sums_;
};

}  // namespace mpp::bench

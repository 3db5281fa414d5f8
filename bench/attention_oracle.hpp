#pragma once
// Attention by its definition in double precision, and how far a read is from it.
#include <algorithm>
#include <cmath>
#include <limits>

#include "attention_read.hpp"

namespace mpp::bench {

/// What is true of one read of one head.
struct TrueErrors {
  double tv = 0.0;          ///< between exact weights and those of the decoded keys
  double tv_blur = 0.0;     ///< the weights of the read are within this of those of the decoded keys
  double output = 0.0;      ///< |exact output - output as computed|
  double output_l1 = 0.0;   ///< the same as the sum over coordinates
  double relative = 0.0;    ///< output over the root of sum p~ |v|^2
  double off_radius = 0.0;  ///< largest |largest exact logit - largest logit| / radius of a page
  double off_spread = 0.0;  ///< largest root of the sum of squared errors of a page's logits, at least, / spread
  double last_page = 0.0;   ///< exact mass of the last page
};

/// The exact head, and the errors of its codes at the levels of a read. Sums of up to 256 products and of n weights in double:
/// relative errors of 1e-13, which `margin` covers.
class AttentionOracle {
 public:
  static constexpr double margin = 1e-11;

  /// @param levels  of each page; its omitted pages are read exactly by nobody
  AttentionOracle(const CodedHead& head, std::span<const KvPage> pages)
      : dims_(head.head_dim()), tokens_(head.tokens()), seen_(head.tokens()) {
    keys_.resize(dims_ * tokens_);
    key_errors_.resize(dims_ * tokens_);
    values_.resize(dims_ * tokens_);
    value_square_.resize(tokens_);
    for (std::size_t i = 0; i < tokens_; ++i)
      for (std::size_t j = 0; j < dims_; ++j) {
        const double key = head.key(i, j, PageLevel::exact), value = head.value(i, j);
        keys_[j * tokens_ + i] = key;  // transposed: the sums of all tokens grow together
        key_errors_[j * tokens_ + i] = key - head.key(i, j, pages[i / page_tokens].key_level);
        values_[i * dims_ + j] = value;
        value_square_[i] += value * value;
      }
    for (std::size_t p = 0; p < pages.size(); ++p) {
      const auto fields = head.fields(p);
      Page page;
      page.coded = pages[p].key_level < PageLevel::exact && pages[p].key_level > PageLevel::omitted;
      page.omitted = pages[p].key_level == PageLevel::omitted;
      page.code_norm = static_cast<double>(fields.summary->code_norm);
      page.key_reach = static_cast<double>(fields.summary->key_reach);
      for (std::size_t j = 0; page.coded && j < dims_; ++j)
        page.step.push_back(static_cast<double>(kernels::to_float(fields.key_step[j])));
      pages_.push_back(std::move(page));
    }
    logit_.resize(tokens_);
    error_.resize(tokens_);
    exact_.resize(tokens_);
    decoded_.resize(tokens_);
  }

  /// Reads from now on see the first tokens only.
  void see(std::size_t tokens) { seen_ = tokens; }
  [[nodiscard]] std::size_t seen() const { return seen_; }
  /// Exact logits of the last query.
  [[nodiscard]] std::span<const double> logits() const { return std::span(logit_).first(seen_); }

  TrueErrors errors(const GroupRead& read, std::size_t head, std::span<const float> query) {
    const auto scale = static_cast<double>(read.shape().scale);
    multiply(keys_, query, scale, logit_);
    multiply(key_errors_, query, scale, error_);
    TrueErrors found;
    weigh(found);
    double blur = 0.0;
    for (std::size_t p = 0; p < pages_.size(); ++p) {
      if (pages_[p].omitted) continue;
      const std::size_t begin = p * page_tokens, end = std::min(begin + page_tokens, seen_);
      double most = -std::numeric_limits<double>::infinity();
      for (std::size_t i = begin; i < end; ++i) most = std::max(most, logit_[i]);
      const double off = std::fabs(read.max_logit(head, p) - most) - margin * std::fabs(most);
      const double radius = read.radius(head, p);
      if (off > 0.0) found.off_radius = std::max(found.off_radius, off / radius);
      const double of_page = page_blur(pages_[p], query, scale);
      blur = std::max(blur, of_page);
      // The errors of decoded keys, each blurred. An exact page has none.
      double square = 0.0;
      for (std::size_t i = begin; i < end; ++i) square += error_[i] * error_[i];
      const double together = std::sqrt(square) * (1.0 - margin) - std::sqrt(page_tokens) * of_page;
      if (together > 0.0) found.off_spread = std::max(found.off_spread, together / read.spread(head, p));
    }
    // e^d between e^-blur and e^blur, and the error of the exponential twice
    found.tv_blur = std::tanh(0.5 * (blur + 0x1p-16)) + margin;
    compare_outputs(read.output(head), found);
    return found;
  }

 private:
  struct Page {
    bool coded = false, omitted = false;
    double code_norm = 0.0, key_reach = 0.0;
    std::vector<double> step;
  };

  void multiply(const std::vector<double>& rows, std::span<const float> query, double scale,
                std::vector<double>& sums) {
    std::fill(sums.begin(), sums.end(), 0.0);
    for (std::size_t j = 0; j < dims_; ++j) {
      const double q = scale * static_cast<double>(query[j]);
      if (q == 0.0) continue;
      const double* row = rows.data() + j * tokens_;
      double* sum = sums.data();
      for (std::size_t i = 0; i < seen_; ++i) sum[i] += q * row[i];
    }
  }

  void weigh(TrueErrors& found) {
    double most = -HUGE_VAL, decoded_most = -HUGE_VAL, sum = 0.0, decoded_sum = 0.0;
    for (std::size_t i = 0; i < seen_; ++i) {
      most = std::max(most, logit_[i]);
      if (!pages_[i / page_tokens].omitted) decoded_most = std::max(decoded_most, logit_[i] - error_[i]);
    }
    for (std::size_t i = 0; i < seen_; ++i) {
      sum += exact_[i] = std::exp(logit_[i] - most);
      const bool read = !pages_[i / page_tokens].omitted;
      decoded_sum += decoded_[i] = read ? std::exp(logit_[i] - error_[i] - decoded_most) : 0.0;
    }
    double energy = 0.0;
    for (std::size_t i = 0; i < seen_; ++i) {
      exact_[i] /= sum;
      decoded_[i] /= decoded_sum;
      found.tv += std::max(0.0, exact_[i] - decoded_[i]);
      energy += decoded_[i] * value_square_[i];
      if (i / page_tokens + 1 == pages_.size()) found.last_page += exact_[i];
    }
    rms_ = std::sqrt(energy);
  }

  void compare_outputs(std::span<const float> output, TrueErrors& found) {
    output_.assign(dims_, 0.0);
    for (std::size_t i = 0; i < seen_; ++i) {
      const double* row = values_.data() + i * dims_;
      for (std::size_t j = 0; j < dims_; ++j) output_[j] += exact_[i] * row[j];
    }
    double square = 0.0, size = 0.0;
    for (std::size_t j = 0; j < dims_; ++j) {
      const double off = static_cast<double>(output[j]) - output_[j];
      square += off * off;
      found.output_l1 += std::fabs(off);
      size += output_[j] * output_[j];
    }
    found.output = std::max(0.0, std::sqrt(square) - margin * (rms_ + std::sqrt(size)));
    found.relative = rms_ > 0.0 ? found.output / rms_ : 0.0;
  }

  /// Distance between a logit as computed and that of the decoded key: a query rounded to integers, and float arithmetic.
  [[nodiscard]] double page_blur(const Page& page, std::span<const float> query, double scale) const {
    double square = 0.0, largest = 0.0;
    for (std::size_t j = 0; j < dims_; ++j) {
      const double q = scale * static_cast<double>(query[j]);
      square += q * q;
      if (page.coded) largest = std::max(largest, std::fabs(q) * page.step[j]);
    }
    return 0.52 * largest / 32639.0 * std::sqrt(static_cast<double>(dims_)) * page.code_norm +
           0x1p-17 * std::sqrt(square) * page.key_reach;
  }

  std::size_t dims_, tokens_, seen_;
  std::vector<double> keys_, key_errors_;      // [head_dim][tokens]
  std::vector<double> values_, value_square_;  // [tokens][head_dim], [tokens]
  std::vector<Page> pages_;
  std::vector<double> logit_, error_, exact_, decoded_, output_;
  double rms_ = 0.0;
};

}  // namespace mpp::bench

#include "promotion_plan.hpp"

#include <algorithm>
#include <cmath>

namespace mpp::llm {
namespace {

using kernels::PageLevel;

// What one more plane of 4 bits divides a radius or a residual by, rounding not counted.
constexpr float plane_factor = 15.0F;
// What rounding the query to integers adds to the spread of 12-bit keys, times the radius of the 8-bit ones: about a hundredth
// of that for each of 64 tokens, all in the same way.
constexpr float rounding_of_query = 8.0F / 100.0F;

/// r (e^c - 1): what a unit of mass may move by. mass: in weights of the page's heaviest token.
double mean_rise(double radius, double spread, double mass) noexcept {
  const double rise = std::expm1(std::min(30.0, radius)), mean = spread / std::sqrt(mass);
  return mean < radius ? rise * mean / radius : rise;
}

double error_of(const AttentionCertificate& certificate, AttentionMetric metric) noexcept {
  return metric == AttentionMetric::attention_tv ? certificate.attention_tv : certificate.output_relative;
}

}  // namespace

PromotionPlan::PromotionPlan(const AttentionRequest& request, AttentionState& state, double aim)
    : request_(request), state_(state), limit_(aim * request.epsilon.value),
      shape_{state.heads_, state.group_, state.pages_, request.cache->geometry().head_dim} {}

// The largest share of an error that the keys of a page have, over the queries of its head.
double PromotionPlan::gain_of_keys(const Statistics& of, std::size_t kv_head, std::size_t page) const noexcept {
  double most = 0.0;
  for (std::size_t i = 0; i < state_.group_; ++i) {
    const std::size_t at = i * state_.pages_ + page;
    const double scale =
        std::exp(static_cast<double>(of.max_logit[at]) - state_.log_sum_exp_.host()[kv_head * state_.group_ + i]);
    const double mass = scale * static_cast<double>(of.mass[at]), reach = static_cast<double>(of.value_reach[page]);
    const bool omitted = of.radius[at] < 0.0F;
    const double rise = omitted ? 1.0 : mean_rise(of.radius[at], of.spread[at], of.mass[at]);
    double value = 1.0;
    if (request_.metric == AttentionMetric::attention_output)
      value = omitted || mass == 0.0 ? reach : reach * std::sqrt(scale * static_cast<double>(of.energy[at]) / mass);
    most = std::max(most, mass * rise * value);
  }
  return most;
}

double PromotionPlan::gain_of_values(const Statistics& of, std::size_t kv_head, std::size_t page) const noexcept {
  double most = 0.0;
  for (std::size_t i = 0; i < state_.group_; ++i) {
    const std::size_t at = i * state_.pages_ + page;
    if (of.radius[at] < 0.0F) continue;
    const double scale =
        std::exp(static_cast<double>(of.max_logit[at]) - state_.log_sum_exp_.host()[kv_head * state_.group_ + i]);
    const double mass = of.mass[at], together = static_cast<double>(of.value_spread[page]) / std::sqrt(mass);
    most = std::max(most, scale * mass * std::min({1e30, static_cast<double>(of.value_residual[page]), together}));
  }
  return most;
}

// Two steps of the keys of each page, and of its values: one plane up, then to the exact numbers. The second has a
// smaller gain for more bytes, so that it always follows the first.
void PromotionPlan::list_steps(std::size_t kv_head) {
  const Statistics of = shape_.statistics_at(state_.statistics_.host() + kv_head * shape_.statistics());
  const auto plane = static_cast<double>(kernels::page_plane_bytes(shape_.dim));
  const auto exact = static_cast<double>(kernels::page_exact_bytes(shape_.dim));
  state_.steps_.clear();
  const auto add = [&](double gain, std::size_t page, bool values, PageLevel level) {
    if (gain > 0.0)
      state_.steps_.push_back(
          {static_cast<float>(std::min(gain, 1e30)), static_cast<std::uint32_t>(page), values, level});
  };
  for (std::size_t page = 0; page < state_.pages_; ++page) {
    const kernels::KvPage& view = state_.tables_.host()[kv_head * state_.pages_ + page];
    if (view.exact_keys == nullptr || view.exact_values == nullptr) continue;
    double gain = gain_of_keys(of, kv_head, page);
    if (view.key_level < PageLevel::bits12) {
      add(gain / plane, page, false, view.key_level < PageLevel::bits8 ? PageLevel::bits8 : PageLevel::bits12);
      gain /= plane_factor;
    }
    if (view.key_level < PageLevel::exact) add(gain / exact, page, false, PageLevel::exact);
    if (request_.metric == AttentionMetric::attention_tv) continue;
    gain = gain_of_values(of, kv_head, page);
    if (view.value_level == PageLevel::bits4) {
      add(gain / plane, page, true, PageLevel::bits8);
      gain /= plane_factor;
    }
    if (view.value_level < PageLevel::exact) add(gain / exact, page, true, PageLevel::exact);
  }
  std::ranges::sort(state_.steps_, [](const PromotionStep& a, const PromotionStep& b) {
    if (a.gain != b.gain) return a.gain > b.gain;
    return a.page != b.page ? a.page < b.page : a.level < b.level;
  });
}

/// The certificate's error after so many steps, if each does what it usually does.
double PromotionPlan::predict(std::size_t kv_head, std::size_t steps) const {
  const std::size_t size = shape_.statistics();
  std::copy_n(state_.statistics_.host() + kv_head * size, size, state_.predicted_.data());
  const Statistics of = shape_.statistics_at(state_.predicted_.data());
  for (std::size_t s = 0; s < steps; ++s) {
    const PromotionStep& step = state_.steps_[s];
    if (step.values) {
      if (step.level == PageLevel::exact)  // not times 0: they may be infinite
        of.value_residual[step.page] = of.value_spread[step.page] = 0.0F;
      else
        of.value_residual[step.page] /= plane_factor, of.value_spread[step.page] /= plane_factor;
      continue;
    }
    for (std::size_t i = 0; i < state_.group_; ++i) {
      const std::size_t at = i * state_.pages_ + step.page;
      if (of.radius[at] < 0.0F)
        of.mass[at] = 0.0F;
      else if (step.level == PageLevel::exact)
        of.radius[at] = of.spread[at] = 0.0F;
      else {
        const float rounding = step.level == PageLevel::bits12 ? rounding_of_query * of.radius[at] : 0.0F;
        of.spread[at] = of.spread[at] / plane_factor + rounding;
        of.radius[at] /= plane_factor;
      }
    }
  }
  kernels::KvRead read = state_.reads_[kv_head];
  read.log_sum_exp = state_.log_sum_exp_.host() + kv_head * state_.group_;
  read.statistics = of;
  std::array<kernels::CertificateSums, kernels::max_group> sums;
  kernels::certificate_sums({}, {.head_dim = shape_.dim, .group = state_.group_, .scale = 1.0F}, {&read, 1},
                            std::span(sums).first(state_.group_));
  double error = 0.0;
  for (std::size_t i = 0; i < state_.group_; ++i) {
    const float* output = state_.output_.host() + (kv_head * state_.group_ + i) * shape_.dim;
    // Exact values may be shorter than the codes that the output is made of.
    const double longest = std::min(norm({output, shape_.dim}), std::sqrt(sums[i].energy));
    error = std::max(error, error_of(certify(sums[i], longest), request_.metric));
  }
  return error;
}

void PromotionPlan::take(std::size_t kv_head, std::size_t steps) noexcept {
  for (std::size_t s = 0; s < steps; ++s) {
    const PromotionStep& step = state_.steps_[s];
    auto& target = state_.targets_[kv_head * state_.pages_ + step.page];
    target[step.values ? 1 : 0] = step.level;
    target[1] = std::max(target[1], PageLevel::bits4);  // an omitted page comes with values too
  }
}

void PromotionPlan::make() {
  for (std::size_t i = 0; i < state_.targets_.size(); ++i)
    state_.targets_[i] = {state_.tables_.host()[i].key_level, state_.tables_.host()[i].value_level};
  for (std::size_t head = 0; head < state_.heads_; ++head) {
    double error = 0.0;
    for (std::size_t i = 0; i < state_.group_; ++i)
      error = std::max(error, error_of(state_.certificates_[head * state_.group_ + i], request_.metric));
    if (error <= request_.epsilon.value) continue;
    list_steps(head);
    std::size_t low = 0, high = state_.steps_.size();  // the fewest steps that are predicted to do, or all
    while (low < high) {
      const std::size_t middle = low + (high - low) / 2;
      if (predict(head, middle) <= limit_)
        high = middle;
      else
        low = middle + 1;
    }
    take(head, low);
  }
}

}  // namespace mpp::llm

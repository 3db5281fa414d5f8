#pragma once
#include <string>

#include <mpp/core/error.hpp>

#include "reference/attention.hpp"
#include "reference/spectral_norm.hpp"

namespace mpp::reference {

/// Looks for what attend_paged.hpp promises and a result does not keep. What cannot be seen from outside, the logits as
/// computed, is replaced by the logits of the decoded keys, with the error that folding q into integers may have.
class AttendPromise {
 public:
  /// @param logit_error  at most, where a scene is made so that logits are computed with less than that
  AttendPromise(const AttendScene& scene, const AttendResult& result, double logit_error = HUGE_VAL)
      : scene_(scene), result_(result), rounding_(kernels::attend_rounding(scene.pages.size())),
        logit_error_(logit_error) {}

  /// The first promise that is broken, or nothing.
  [[nodiscard]] std::string broken() {
    values_are_bounded();
    for (std::size_t head = 0; head < scene_.shape.group; ++head) check_head(head);
    return broken_;
  }

  /// Largest |exact logit - logit| / radius seen, of the heaviest token of each page; after broken().
  [[nodiscard]] double worst_ratio() const { return worst_ratio_; }
  /// The least that the errors of the logits of a page add up to, over its spread; after broken().
  [[nodiscard]] double worst_spread_ratio() const { return worst_spread_ratio_; }

 private:
  template <class... Parts>
  void expect(bool holds, const Parts&... parts) {
    if (!holds && broken_.empty()) broken_ = text(parts...);
  }

  void values_are_bounded() {
    for (std::size_t p = 0; p < scene_.pages.size(); ++p) {
      const ScenePage& page = scene_.pages[p];
      const Rows values = page.values_read();
      Rows residuals;
      double residual = 0.0, reach = 0.0;
      for (std::size_t i = 0; i < page.tokens; ++i) {
        Rows off(row(page.exact_values, dims(), i).begin(), row(page.exact_values, dims(), i).end());
        for (std::size_t j = 0; j < dims(); ++j) off[j] -= values[i * dims() + j];
        residual = std::max(residual, norm(off));
        residuals.insert(residuals.end(), off.begin(), off.end());
        reach = std::max({reach, norm(row(page.exact_values, dims(), i)), norm(row(values, dims(), i))});
      }
      expect(result_.value_residual[p] >= residual * (1.0 - 1e-15), "page ", p, ": value_residual is ",
             result_.value_residual[p], ", smaller than ", residual);
      expect(
          page.value_level != PageLevel::exact || (result_.value_residual[p] == 0.0 && result_.value_spread[p] == 0.0),
          "page ", p, ": exact values have a residual");
      const double together = spectral_norm(residuals, dims(), 4);
      expect(result_.value_spread[p] >= together * (1.0 - 0x1p-49), "page ", p, ": value_spread is ",
             result_.value_spread[p], ", smaller than ", together);
      expect(result_.value_reach[p] >= reach * (1.0 - 1e-15), "page ", p, ": value_reach is ", result_.value_reach[p],
             ", smaller than ", reach);
    }
  }

  void check_head(std::size_t head) {
    const auto query = scene_.query(head);
    const auto scale = static_cast<double>(scene_.shape.scale);
    double most = -HUGE_VAL, error = 0.0;  // of logits; of all pages
    std::vector<std::vector<double>> decoded;
    for (std::size_t p = 0; p < scene_.pages.size(); ++p) {
      const ScenePage& page = scene_.pages[p];
      const auto exact = logits(query, scale, page.exact_keys);
      const double exact_most = *std::max_element(exact.begin(), exact.end());
      const std::size_t at = head * scene_.pages.size() + p;
      const std::string where = text("head ", head, ", page ", p, ": ");
      if (page.key_level == PageLevel::omitted) {
        decoded.emplace_back();
        expect(result_.radius[at] == -1.0 && result_.spread[at] == 0.0 && result_.energy[at] == 0.0, where,
               "omitted, radius ", result_.radius[at], ", spread ", result_.spread[at]);
        expect(result_.mass[at] == static_cast<double>(page.tokens), where, "omitted, mass ", result_.mass[at]);
        expect(result_.max_logit[at] >= exact_most - tiny(exact_most), where, "omitted, max_logit ",
               result_.max_logit[at], ", but a token has ", exact_most);
        continue;
      }
      decoded.push_back(logits(query, scale, page.keys_read()));
      const double decoded_most = *std::max_element(decoded[p].begin(), decoded[p].end());
      double allowed = float_rounding(page.bytes, query, scale);
      if (page.key_level != PageLevel::exact) allowed += query_rounding(page.bytes, fold(page.bytes, query, scale));
      allowed = std::min(allowed, logit_error_);
      const double off = std::fabs(result_.max_logit[at] - exact_most);
      if (result_.radius[at] > 0.0) worst_ratio_ = std::max(worst_ratio_, off / result_.radius[at]);
      expect(off <= result_.radius[at] + tiny(exact_most), where, "max_logit is ", result_.max_logit[at], ", exactly ",
             exact_most, ", radius ", result_.radius[at]);
      expect(std::fabs(result_.max_logit[at] - decoded_most) <= allowed + tiny(decoded_most), where, "max_logit is ",
             result_.max_logit[at], ", of decoded keys ", decoded_most, ", allowed ", allowed);
      check_spread(at, where, exact, decoded[p], off - tiny(exact_most), allowed);
      check_weights(head, p, decoded[p], decoded_most, twice(allowed));
      most = std::max(most, decoded_most);
      error = std::max(error, allowed);
    }
    check_output(head, decoded, most, error);
  }

  /// The largest logit is off by `least`, so all of them are together. And whatever the logits as computed are, they are within
  /// `allowed` of the logits of the decoded keys.
  void check_spread(std::size_t at, const std::string& where, std::span<const double> exact,
                    std::span<const double> decoded, double least, double allowed) {
    double square = 0.0;
    for (std::size_t i = 0; i < exact.size(); ++i) {
      const double off = std::fabs(exact[i] - decoded[i]) - allowed - tiny(exact[i]) - tiny(decoded[i]);
      square += std::max(0.0, off) * std::max(0.0, off);
    }
    const double told = result_.spread[at];
    least = std::max(least, std::sqrt(square));
    expect(told >= least, where, "spread is ", told, ", but errors add up to ", least);
    if (told > 0.0) worst_spread_ratio_ = std::max(worst_spread_ratio_, least / told);
  }

  /// `error`: relative, of a weight, from the error of logits
  void check_weights(std::size_t head, std::size_t p, std::span<const double> decoded, double most, double error) {
    const ScenePage& page = scene_.pages[p];
    const std::size_t at = head * scene_.pages.size() + p;
    double mass = 0.0, energy = 0.0;
    for (std::size_t i = 0; i < page.tokens; ++i) {
      const double weight = std::exp(decoded[i] - most);
      const double size = norm(row(page.exact_values, dims(), i)) / std::max(result_.value_reach[p], 1e-300);
      mass += weight;
      energy += weight * size * size;
    }
    const double flushed = 2.0 * static_cast<double>(page.tokens) * rounding_.flushed;
    const double off_weight = (1.0 + error) * (1.0 + rounding_.weight) - 1.0;
    expect(std::fabs(result_.mass[at] - mass) <= mass * ((1.0 + off_weight) * (1.0 + rounding_.mass) - 1.0) + flushed,
           "head ", head, ", page ", p, ": mass is ", result_.mass[at], ", expected ", mass);
    const double energy_error = energy * ((1.0 + off_weight) * (1.0 + rounding_.energy) - 1.0) + flushed +
                                rounding_.energy_floor * (mass * (1.0 + off_weight) + flushed);
    expect(std::fabs(result_.energy[at] - energy) <= energy_error, "head ", head, ", page ", p, ": energy is ",
           result_.energy[at], ", expected ", energy, " +- ", energy_error);
  }

  void check_output(std::size_t head, const std::vector<std::vector<double>>& decoded, double most, double error) {
    const std::size_t pages = scene_.pages.size();
    std::vector<double> output(dims());
    double sum = 0.0, told = 0.0, reach = 0.0, rounding = 0.0, longest = 0x1p-20;
    for (std::size_t p = 0; p < pages; ++p) {
      const std::size_t at = head * pages + p;
      if (scene_.pages[p].key_level == PageLevel::omitted) continue;
      const Rows values = scene_.pages[p].values_read();
      const double share = std::exp(result_.max_logit[at] - result_.log_sum_exp[head]);
      told += result_.mass[at] * share;
      longest = std::max(longest, result_.value_reach[p]);
      const double of_tokens = scene_.pages[p].value_level == PageLevel::exact ? 0.0 : rounding_.token_weight;
      rounding += share * (rounding_.page_weight * result_.mass[at] + of_tokens) * result_.value_reach[p];
      for (std::size_t i = 0; i < scene_.pages[p].tokens; ++i) {
        const double weight = std::exp(decoded[p][i] - most);
        sum += weight;
        reach += weight * norm(row(values, dims(), i));
        for (std::size_t j = 0; j < dims(); ++j) output[j] += weight * values[i * dims() + j];
      }
    }
    const double log_sum_exp = most + std::log(sum), size = std::max(1.0, std::fabs(log_sum_exp));
    expect(std::fabs(std::log(told)) <= rounding_.log_sum_exp * size + 1e-12 * size, "head ", head, ": log_sum_exp is ",
           result_.log_sum_exp[head], ", its pages add up to e^", std::log(told), " of it");
    const double weight = twice(error) + 2.0 * rounding_.weight;
    expect(std::fabs(result_.log_sum_exp[head] - log_sum_exp) <=
               error + rounding_.weight + rounding_.mass + rounding_.flushed * 64.0 * static_cast<double>(pages) +
                   rounding_.log_sum_exp * size,
           "head ", head, ": log_sum_exp is ", result_.log_sum_exp[head], ", of decoded keys ", log_sum_exp);
    for (std::size_t j = 0; j < dims(); ++j) output[j] -= result_.output[head * dims() + j] * sum;
    const double off = norm(output) / sum;
    rounding += rounding_.underflow * longest;
    expect(off <= (rounding + weight * reach / sum) * (1.0 + 1e-6) + 1e-300, "head ", head, ": output is off by ", off,
           ", allowed ", rounding + weight * reach / sum);
  }

  [[nodiscard]] std::size_t dims() const { return scene_.shape.head_dim; }
  /// Relative error of a weight whose logit and whose page's largest logit are off by `error` each.
  static double twice(double error) { return std::min(std::expm1(2.0 * error), 1e300); }
  /// What the oracle itself may be off by.
  static double tiny(double logit) { return 1e-13 * std::fabs(logit) + 1e-300; }

  const AttendScene& scene_;
  const AttendResult& result_;
  kernels::AttendRounding rounding_;
  double logit_error_;
  std::string broken_;
  double worst_ratio_ = 0.0, worst_spread_ratio_ = 0.0;
};

}  // namespace mpp::reference

#pragma once
#include <algorithm>
#include <limits>

#include <mpp/kernels/attend_paged.hpp>

#include "reference/kv_page.hpp"

// Attention by its definition, and what attend_paged() does with pages of codes, in double precision. The second can be told
// to make the mistakes that its certificate must not survive.
namespace mpp::reference {

/// Numbers of a page as doubles, [tokens][head_dim].
using Rows = std::vector<double>;

/// One page of a scene: what it stands for and what is read of it.
struct ScenePage {
  PageBytes bytes;  ///< of an open page only its metadata
  std::size_t tokens = page_tokens;
  PageLevel key_level = PageLevel::exact, value_level = PageLevel::exact;
  Rows exact_keys, exact_values;

  [[nodiscard]] Rows keys_read() const { return read(key_level, exact_keys, &PageBytes::key); }
  [[nodiscard]] Rows values_read() const { return read(value_level, exact_values, &PageBytes::value); }

 private:
  template <class Decode>
  Rows read(PageLevel level, const Rows& exact, const Decode& decode) const {
    if (level == PageLevel::exact || level == PageLevel::omitted) return exact;
    Rows rows;
    for (std::size_t i = 0; i < tokens; ++i)
      for (std::size_t j = 0; j < bytes.head_dim; ++j) rows.push_back((bytes.*decode)(i, j, level));
    return rows;
  }
};

/// All queries of one KV head.
struct AttendScene {
  kernels::AttendShape shape;
  std::vector<ScenePage> pages;
  std::vector<float> queries;  ///< [group][head_dim]
  [[nodiscard]] std::span<const float> query(std::size_t head) const {
    return std::span(queries).subspan(head * shape.head_dim, shape.head_dim);
  }
};

/// What attend_paged() reports, on the host. As doubles, so that a double reference reports the same.
struct AttendResult {
  std::vector<double> output, log_sum_exp;
  std::vector<double> max_logit, mass, radius, spread, energy;    ///< [group][pages]
  std::vector<double> value_residual, value_spread, value_reach;  ///< [pages]
};

/// scale q . k for every row; the error is that of head_dim additions of long double.
inline std::vector<double> logits(std::span<const float> query, double scale, const Rows& keys) {
  std::vector<double> found;
  for (std::size_t i = 0; i < keys.size() / query.size(); ++i) {
    long double sum = 0.0L;
    for (std::size_t j = 0; j < query.size(); ++j)
      sum += static_cast<long double>(query[j]) * static_cast<long double>(keys[i * query.size() + j]);
    found.push_back(static_cast<double>(sum * static_cast<long double>(scale)));
  }
  return found;
}

inline double norm(std::span<const double> values) {
  long double sum = 0.0L;
  for (const double value : values) sum += static_cast<long double>(value) * static_cast<long double>(value);
  return static_cast<double>(std::sqrt(sum));
}
inline std::span<const double> row(const Rows& rows, std::size_t head_dim, std::size_t token) {
  return std::span(rows).subspan(token * head_dim, head_dim);
}

enum class AttendFault {
  none,
  radius_without_query_rounding,
  radius_of_8_bits,         ///< at every level
  radius_without_residual,  ///< a quarter of the sum of |q| step, as if errors cancelled
  half_step_forgotten,      ///< codes stand for the lower end of their cell
  fine_half_step_wrong,     ///< at 12 bits the half step of 8 bits stays
  spread_without_query_rounding,
  spread_of_8_bits,  ///< at every level
};

/// q folded into the steps of a page and rounded to integers: u Q_j is about scale q_j step_j.
struct FoldedQuery {
  double base = 0.0, unit = 0.0;
  std::vector<double> exact, rounded;
};
inline FoldedQuery fold(const PageBytes& page, std::span<const float> query, double scale) {
  FoldedQuery folded;
  double largest = 0.0;
  for (std::size_t j = 0; j < query.size(); ++j) {
    const double q = scale * static_cast<double>(query[j]);
    folded.exact.push_back(q * half_value(page.factor(PageBytes::key_step, j)));
    largest = std::max(largest, std::fabs(folded.exact.back()));
    folded.base += q * half_value(page.factor(PageBytes::key_zero, j)) + 128.0 * folded.exact.back();
  }
  folded.unit = largest / 32639.0;
  for (const double q : folded.exact)
    folded.rounded.push_back(folded.unit > 0.0 ? folded.unit * std::nearbyint(q / folded.unit) : 0.0);
  return folded;
}

/// Error of a logit from rounding the folded query to integers, and from float arithmetic, at most.
inline double query_rounding(const PageBytes& page, const FoldedQuery& folded) {
  const auto dims = static_cast<double>(folded.exact.size());
  return 0.52 * folded.unit * std::sqrt(dims) * static_cast<double>(page.summary().code_norm);
}
inline double float_rounding(const PageBytes& page, std::span<const float> query, double scale) {
  const Rows wide(query.begin(), query.end());
  return 128.0 * 0x1p-24 * scale * norm(wide) * static_cast<double>(page.summary().key_reach) + 0x1p-80;
}

namespace detail {

inline double coded_logit(const ScenePage& page, const FoldedQuery& folded, std::size_t token, AttendFault fault) {
  double sum = folded.base;
  for (std::size_t j = 0; j < folded.rounded.size(); ++j) {
    double middle = 0.5;
    if (fault == AttendFault::half_step_forgotten) middle = 0.0;
    if (fault == AttendFault::fine_half_step_wrong && page.key_level == PageLevel::bits12) middle = 8.5;
    const double code = std::ldexp(page.bytes.key_code(token, j, page.key_level) + middle, 8 - bits_of(page.key_level));
    sum += folded.rounded[j] * (code - 128.0);
  }
  return sum;
}

inline double coded_radius(const ScenePage& page, const FoldedQuery& folded, AttendFault fault) {
  double l1 = 0.0;
  for (const double q : folded.exact) l1 += std::fabs(q);
  const auto level = static_cast<std::size_t>(page.key_level) - 1;
  double steps = std::min(0.5 * l1, norm(folded.exact) * static_cast<double>(page.bytes.summary().key_residual[level]));
  if (fault == AttendFault::radius_without_residual) steps = 0.25 * std::fabs(folded.exact[0]);
  if (fault != AttendFault::radius_of_8_bits) steps = std::ldexp(steps, 8 - bits_of(page.key_level));
  return fault == AttendFault::radius_without_query_rounding ? steps : steps + query_rounding(page.bytes, folded);
}

/// Of all tokens of the page together, without the rounding of floats.
inline double coded_spread(const ScenePage& page, const FoldedQuery& folded, AttendFault fault) {
  const kernels::PageSummary summary = page.bytes.summary();
  const double together =
      page.key_level == PageLevel::bits4
          ? 8.0 * static_cast<double>(summary.key_residual[0])
          : static_cast<double>(summary.key_spread[static_cast<std::size_t>(bits_of(page.key_level)) / 4 - 2]);
  double steps = norm(folded.exact) * together;
  if (fault != AttendFault::spread_of_8_bits) steps = std::ldexp(steps, 8 - bits_of(page.key_level));
  return fault == AttendFault::spread_without_query_rounding ? steps : steps + 8.0 * query_rounding(page.bytes, folded);
}

}  // namespace detail

/// attend_paged() in double precision, with the arithmetic that its documentation describes.
inline AttendResult attend_paged(const AttendScene& scene, AttendFault fault = AttendFault::none) {
  AttendResult result;
  const std::size_t dims = scene.shape.head_dim;
  const auto scale = static_cast<double>(scene.shape.scale);
  for (const ScenePage& page : scene.pages) {
    const kernels::PageSummary summary = page.bytes.summary();
    const auto level = static_cast<std::size_t>(page.value_level);
    const bool coded = level == 1 || level == 2;
    result.value_residual.push_back(coded ? static_cast<double>(summary.value_residual[level - 1]) : 0.0);
    result.value_spread.push_back(coded ? static_cast<double>(summary.value_spread[level - 1]) : 0.0);
    result.value_reach.push_back(static_cast<double>(summary.value_reach));
  }
  for (std::size_t head = 0; head < scene.shape.group; ++head) {
    const auto query = scene.query(head);
    std::vector<double> output(dims);
    double sum = 0.0, most = -std::numeric_limits<double>::infinity();
    for (const ScenePage& page : scene.pages) {
      if (page.key_level == PageLevel::omitted) {
        const Rows wide(query.begin(), query.end());
        result.max_logit.push_back(scale * norm(wide) * static_cast<double>(page.bytes.summary().key_reach));
        result.mass.push_back(static_cast<double>(page.tokens));
        result.radius.push_back(-1.0);
        result.spread.push_back(0.0);
        result.energy.push_back(0.0);
        continue;
      }
      std::vector<double> logit;
      double radius = float_rounding(page.bytes, query, scale), spread = 8.0 * radius;
      if (page.key_level == PageLevel::exact) {
        logit = logits(query, scale, page.exact_keys);
      } else {
        const FoldedQuery folded = fold(page.bytes, query, scale);
        for (std::size_t i = 0; i < page.tokens; ++i) logit.push_back(detail::coded_logit(page, folded, i, fault));
        radius += detail::coded_radius(page, folded, fault);
        spread += detail::coded_spread(page, folded, fault);
      }
      const double page_most = *std::max_element(logit.begin(), logit.end());
      const Rows values = page.values_read();
      const double grown = std::exp(most - std::max(most, page_most)),
                   fresh = std::exp(page_most - std::max(most, page_most));
      most = std::max(most, page_most);
      sum *= grown;
      for (double& x : output) x *= grown;
      double mass = 0.0, energy = 0.0;
      for (std::size_t i = 0; i < page.tokens; ++i) {
        const double weight = std::exp(logit[i] - page_most);
        const double reach = std::max(static_cast<double>(page.bytes.summary().value_reach), 1e-300);
        const double size = norm(row(page.exact_values, dims, i)) / reach;
        mass += weight;
        energy += weight * size * size;
        for (std::size_t j = 0; j < dims; ++j) output[j] += fresh * weight * values[i * dims + j];
      }
      sum += fresh * mass;
      result.max_logit.push_back(page_most);
      result.mass.push_back(mass);
      result.radius.push_back(radius);
      result.spread.push_back(spread);
      result.energy.push_back(energy);
    }
    for (const double x : output) result.output.push_back(x / sum);
    result.log_sum_exp.push_back(most + std::log(sum));
  }
  return result;
}

}  // namespace mpp::reference

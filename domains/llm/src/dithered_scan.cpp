#include "dithered_scan.hpp"

#include <algorithm>
#include <cmath>

#include "mpp/core/error.hpp"

namespace mpp::llm {
namespace {

void check_pages(const DitheredRead& read, std::pmr::memory_resource* memory) {
  const std::size_t head_dim = read.query.size();
  std::pmr::vector<DitherCounter> used(memory);
  for (std::size_t p = 0; p < read.pages.size(); ++p) {
    const DitheredKv& page = read.pages[p];
    expects<ShapeError>(page.keys != nullptr && page.values != nullptr, "DitheredAttention: pages[", p,
                        "] has no keys or no values");
    expects<ShapeError>(page.keys->channels() == head_dim && page.values->channels() == head_dim &&
                            page.keys->tokens() == page.values->tokens(),
                        "DitheredAttention: pages[", p, "] has ", page.keys->tokens(), " keys of ",
                        page.keys->channels(), " channels and ", page.values->tokens(), " values of ",
                        page.values->channels(), ", expected as many of each, of ", head_dim);
    used.push_back(page.keys->counter());
    used.push_back(page.values->counter());
  }
  const auto key = [](const DitherCounter& counter) { return std::pair(counter.seed, counter.matrix); };
  std::sort(used.begin(), used.end(), [&](const auto& a, const auto& b) { return key(a) < key(b); });
  const auto twice =
      std::adjacent_find(used.begin(), used.end(), [&](const auto& a, const auto& b) { return key(a) == key(b); });
  expects<ValueError>(twice == used.end(), "DitheredAttention: two matrices of the read have the same dither, number ",
                      twice == used.end() ? 0 : twice->matrix);
}

void check(const DitheredRead& read, std::pmr::memory_resource* memory) {
  const std::size_t head_dim = read.query.size();
  expects<ShapeError>(head_dim > 0, "DitheredAttention: query is empty, expected at least one channel");
  expects<ValueError>(std::isfinite(read.scale) && read.scale > 0.0, "DitheredAttention: scale is ", read.scale,
                      ", expected a positive number");
  for (std::size_t j = 0; j < head_dim; ++j)
    expects<ValueError>(std::isfinite(read.query[j]), "DitheredAttention: query[", j, "] is ", read.query[j],
                        ", expected a finite number");
  expects<ShapeError>(read.tail_keys.size() % head_dim == 0 && read.tail_keys.size() == read.tail_values.size(),
                      "DitheredAttention: the tail has keys of ", read.tail_keys.size(), " and values of ",
                      read.tail_values.size(), " numbers, expected rows of ", head_dim, " and as many of each");
  expects<ShapeError>(!read.pages.empty() || !read.tail_keys.empty(), "DitheredAttention: there is nothing to read");
  for (const auto tail : {read.tail_keys, read.tail_values})
    for (std::size_t i = 0; i < tail.size(); ++i)
      expects<ValueError>(std::isfinite(tail[i]), "DitheredAttention: the tail's token ", i / head_dim, ", channel ",
                          i % head_dim, " is ", tail[i], ", expected a finite number");
  check_pages(read, memory);
}

}  // namespace

DitherScan::DitherScan(const DitheredRead& read, std::pmr::memory_resource* memory)
    : pages(memory), weight(memory), distance(memory), output(memory), variance_(memory) {
  check(read, memory);
  std::size_t tokens = 0;
  const auto add = [&](std::size_t more) {
    pages.push_back({.first = tokens, .last = tokens + more});
    tokens += more;
  };
  for (const DitheredKv& page : read.pages) add(page.keys->tokens());
  if (!read.tail_keys.empty()) add(read.tail_keys.size() / read.query.size());
  weight.resize(tokens);
  distance.resize(tokens);
  output.resize(read.query.size());
  variance_.resize(read.query.size());
}

void DitherScan::run(const DitheredRead& read, double tail) {
  weigh(read, tail);
  average(read);
  spread(read);
}

double DitherScan::value(const DitheredRead& read, std::size_t page, std::size_t token,
                         std::size_t channel) const noexcept {
  if (page < read.pages.size()) return read.pages[page].values->number(token, channel, read.pages[page].value_level);
  return static_cast<double>(read.tail_values[token * read.query.size() + channel]);
}

/// Logits, their errors, and the softmax.
void DitherScan::weigh(const DitheredRead& read, double tail) {
  const std::size_t head_dim = read.query.size();
  double largest = -HUGE_VAL;
  for (std::size_t p = 0; p < pages.size(); ++p) {
    Page& page = pages[p];
    const bool exact = p == read.pages.size();
    double square = 0.0, whole = 0.0, fine = 0.0, reach = 0.0;  // over channels, of scale |q|
    for (std::size_t j = 0; j < head_dim; ++j) {
      const double q = std::abs(read.scale * static_cast<double>(read.query[j]));
      if (exact) {
        double most = 0.0;
        for (std::size_t i = 0; i < page.last - page.first; ++i)
          most = std::max(most, std::abs(static_cast<double>(read.tail_keys[i * head_dim + j])));
        reach += q * most;
        continue;
      }
      const DitheredPage& keys = *read.pages[p].keys;
      const double step = keys.step(j, read.pages[p].key_level);
      square += q * step * q * step;
      whole += q * step;
      fine += q * keys.step(j, DitherLevel::bits8);
      reach += q * keys.reach(j);
    }
    page.sigma = std::sqrt(square / 12.0) * (1.0 + 0x1p-30);
    // each product of 3 roundings, head_dim additions; keys are within 2^-50 of their reach
    const double arithmetic = (static_cast<double>(head_dim) + 16.0) * 0x1p-50 * reach;
    page.bias = (DitheredPage::mean_error * fine + arithmetic) * (1.0 + 0x1p-30);
    page.radius = (std::min(0.5 * whole, tail * page.sigma) + page.bias) * (1.0 + 0x1p-30);
    for (std::size_t i = page.first; i < page.last; ++i) {
      double logit = 0.0;
      for (std::size_t j = 0; j < head_dim; ++j) {
        const double key = exact ? static_cast<double>(read.tail_keys[(i - page.first) * head_dim + j])
                                 : read.pages[p].keys->number(i - page.first, j, read.pages[p].key_level);
        logit += read.scale * static_cast<double>(read.query[j]) * key;
      }
      weight[i] = logit;
      largest = std::max(largest, logit);
    }
  }
  double total = 0.0;
  for (double& logit : weight) total += logit = std::exp(logit - largest);
  for (double& w : weight) w /= total;
}

/// o~, and the errors of values in it.
void DitherScan::average(const DitheredRead& read) {
  const std::size_t head_dim = read.query.size();
  double largest = 0.0;
  for (std::size_t p = 0; p < pages.size(); ++p) {
    const bool exact = p == read.pages.size();
    double squares = 0.0, steps = 0.0, fine = 0.0;
    for (std::size_t i = pages[p].first; i < pages[p].last; ++i) {
      squares += weight[i] * weight[i];
      for (std::size_t j = 0; j < head_dim; ++j) {
        const double v = value(read, p, i - pages[p].first, j);
        output[j] += weight[i] * v;
        largest = std::max(largest, std::abs(v));
      }
    }
    if (exact) continue;
    for (std::size_t j = 0; j < head_dim; ++j) {
      const double step = read.pages[p].values->step(j, read.pages[p].value_level);
      const double small = read.pages[p].values->step(j, DitherLevel::bits8);
      variance_[j] += squares * step * step / 12.0;
      steps += step * step;
      fine += small * small;
    }
    value_bias = std::max(value_bias, DitheredPage::mean_error * std::sqrt(fine) * (1.0 + 0x1p-30));
    pages[p].value_radius = (0.5 * std::sqrt(steps) + value_bias) * (1.0 + 0x1p-30);
  }
  for (const double variance : variance_) values.add(variance * (1.0 + 0x1p-29));
  // a rounding per token and channel, and weights within 2^-40 of what they should be
  output_rounding =
      largest * std::sqrt(static_cast<double>(head_dim)) * (0x1p-40 + 0x1p-50 * static_cast<double>(weight.size()));
}

void DitherScan::spread(const DitheredRead& read) {
  for (std::size_t p = 0; p < pages.size(); ++p)
    for (std::size_t i = pages[p].first; i < pages[p].last; ++i) {
      double square = 0.0;
      for (std::size_t j = 0; j < read.query.size(); ++j) {
        const double apart = value(read, p, i - pages[p].first, j) - output[j];
        square += apart * apart;
      }
      distance[i] = std::sqrt(square) * (1.0 + 0x1p-30);
    }
}

}  // namespace mpp::llm

#pragma once
#include <cstddef>
#include <memory_resource>
#include <vector>

#include "dithered_terms.hpp"
#include "mpp/llm/dithered_attention.hpp"

namespace mpp::llm {

/// A read in double, and what its bounds need of pages and tokens.
struct DitherScan {
  struct Page {
    std::size_t first = 0, last = 0;  ///< tokens
    double sigma = 0.0;         ///< the error of a logit has the moments of a normal number of this deviation at most
    double bias = 0.0;          ///< beside it: mean of the dither, and arithmetic
    double radius = 0.0;        ///< |error of a logit| <= radius
    double value_radius = 0.0;  ///< |v - v~| <= value_radius, always
  };
  std::pmr::vector<Page> pages;       ///< the tail is the last one
  std::pmr::vector<double> weight;    ///< [tokens], logits first, then p~
  std::pmr::vector<double> distance;  ///< [tokens]: |v~ - o~|
  std::pmr::vector<double> output;    ///< [head_dim]: o~
  QuadraticForm values;               ///< of |sum p~ (v - v~)|^2, a term per channel
  double value_bias = 0.0;
  double output_rounding = 0.0;

  /// Checks the read and takes all memory.
  DitherScan(const DitheredRead& read, std::pmr::memory_resource* memory);
  /// `tail`: of DitherTail::radius.
  void run(const DitheredRead& read, double tail);

 private:
  void weigh(const DitheredRead& read, double tail);
  void average(const DitheredRead& read);
  void spread(const DitheredRead& read);
  double value(const DitheredRead& read, std::size_t page, std::size_t token, std::size_t channel) const noexcept;

  std::pmr::vector<double> variance_;  ///< [head_dim], of the sum of the errors of values
};

}  // namespace mpp::llm

#pragma once
#include <array>
#include <cstddef>

namespace mpp::ranking {

/// A sum in eight parts that a compiler may keep in vectors: it may not reorder one.
class RunningSums {
 public:
  static constexpr std::size_t lanes = 8;
  void add(std::size_t lane, double x) { lanes_[lane] += x; }
  [[nodiscard]] double total() const {
    return ((lanes_[0] + lanes_[4]) + (lanes_[1] + lanes_[5])) + ((lanes_[2] + lanes_[6]) + (lanes_[3] + lanes_[7]));
  }

 private:
  std::array<double, lanes> lanes_{};
};

/// term(0) + ... + term(n - 1).
template <class Term>
[[nodiscard]] double sum_of(std::size_t n, Term term) {
  RunningSums sums;
  std::size_t j = 0;
  for (; j + RunningSums::lanes <= n; j += RunningSums::lanes)
    for (std::size_t lane = 0; lane < RunningSums::lanes; ++lane) sums.add(lane, term(j + lane));
  for (std::size_t lane = 0; j + lane < n; ++lane) sums.add(lane, term(j + lane));
  return sums.total();
}

}  // namespace mpp::ranking

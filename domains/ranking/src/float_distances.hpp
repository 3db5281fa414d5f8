#pragma once
#include <algorithm>
#include <cmath>
#include <cstddef>
#include <limits>
#include <span>

#include <mpp/core/error.hpp>

namespace mpp::ranking {

/// Refuses rows between which FAISS cannot measure: NaN, infinity, and values so large that a squared distance overflows
/// float. It finds no neighbour for such rows, and aborts the program in training.
///
/// With all values up to the limit, ||x||^2, ||c||^2 and 2 x.c together stay below a quarter of the largest float,
/// whatever the order of summation.
/// @throws ValueError naming `operation`, the argument `name` and the row
inline void check_float_distances(const char* operation, const char* name, std::span<const float> rows,
                                  std::size_t dims) {
  const float limit = std::sqrt(std::numeric_limits<float>::max() / (16.0F * static_cast<float>(dims)));
  const auto bad = std::ranges::find_if_not(rows, [=](float x) { return std::fabs(x) <= limit; });
  if (bad == rows.end()) return;
  throw ValueError(text(operation, ": ", name, " holds ", *bad, " in row ",
                        static_cast<std::size_t>(bad - rows.begin()) / dims, ", expected magnitudes up to ", limit,
                        " for float distances of ", dims, " values"));
}

}  // namespace mpp::ranking

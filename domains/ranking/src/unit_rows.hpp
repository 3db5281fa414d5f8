#pragma once
#include <cstddef>
#include <span>
#include <vector>

namespace mpp::ranking {

/// Every row divided by its length, which is taken in double. Rows of NaN or infinity stay so.
/// @throws ValueError naming `operation` and the row, if one has length 0
[[nodiscard]] std::vector<float> unit_rows(const char* operation, std::span<const float> rows, std::size_t dims);

}  // namespace mpp::ranking

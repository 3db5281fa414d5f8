#include "src/unit_rows.hpp"

#include <cmath>

#include <mpp/core/error.hpp>

namespace mpp::ranking {

std::vector<float> unit_rows(const char* operation, std::span<const float> rows, std::size_t dims) {
  std::vector<float> unit(rows.size());
  for (std::size_t i = 0; i < rows.size(); i += dims) {
    double squares = 0.0;  // of floats: neither overflows nor loses the smallest ones
    for (std::size_t j = i; j < i + dims; ++j) squares += static_cast<double>(rows[j]) * rows[j];
    expects<ValueError>(squares != 0.0, operation, ": row ", i / dims, " has length 0, which has no cosine");
    for (std::size_t j = i; j < i + dims; ++j) unit[j] = static_cast<float>(rows[j] / std::sqrt(squares));
  }
  return unit;
}

}  // namespace mpp::ranking

#pragma once
#include <cstdint>
#include <span>

#include <mpp/kernels/context.hpp>

namespace mpp::kernels {

enum class Metric : std::uint8_t {
  inner_product,  ///< q . x
  cosine,         ///< q . x / (||q|| ||x||)
  l2,             ///< -||q - x||^2: the larger the closer
};

/// Exact scores, in double, with one fixed order of summation on every device: lane j % 8 collects the products of
/// coordinates j in ascending order, then ((0+4)+(2+6)) + ((1+5)+(3+7)). Each product of two floats is exact in double,
/// so fused and separate multiply-add agree; for l2 the difference is taken in double, where its square rounds once.
/// Scores are therefore identical on CPU and CUDA, and for cosine the norms are summed in the same order.
///
/// @param rows [n, dims]    @param query [dims]    @param scores [n]
void rescore(const Context& context, std::span<const float> rows, std::span<const float> query, Metric metric,
             std::span<double> scores);

}  // namespace mpp::kernels

#pragma once
#include <cstddef>

#include <mpp/kernels/kv_page.hpp>

namespace mpp::kernels::cpu {

/// @param channels  [head_dim][page_tokens]: the residuals of a page, channel by channel
/// @return  at least their spectral norm: see src/spectral_norm.hpp
double spectral_norm(const double (*channels)[page_tokens], std::size_t head_dim);

}  // namespace mpp::kernels::cpu

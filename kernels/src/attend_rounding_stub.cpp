#include <mpp/kernels/attend_paged.hpp>
namespace mpp::kernels {
AttendRounding attend_rounding(std::size_t page_count) noexcept {
  const double pages = static_cast<double>(page_count);
  AttendRounding rounding;
  rounding.weight = 0x1p-18;
  rounding.flushed = 0x1p-125;
  rounding.mass = 0x1p-18;
  rounding.energy = 0x1p-10 + 0x1p-16;
  rounding.energy_floor = 0x1p-37;
  rounding.log_sum_exp = 0x1p-40;
  rounding.page_weight = (3.0 * pages + 512.0) * 0x1p-24;
  rounding.token_weight = static_cast<double>(page_tokens) * (0.5 / 32767.0 + 0x1p-23);
  return rounding;
}
}  // namespace mpp::kernels

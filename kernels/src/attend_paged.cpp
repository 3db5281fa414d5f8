#include <mpp/kernels/attend_paged.hpp>

#include <algorithm>
#include <iterator>

#include "src/attend_terms.hpp"
#include "src/dispatch.hpp"

namespace mpp::kernels {
namespace {

void check_statistics(std::size_t read, const PageStatistics& of) {
  const float* const arrays[] = {of.max_logit, of.mass,           of.radius,       of.spread,
                                 of.energy,    of.value_residual, of.value_spread, of.value_reach};
  const auto given = std::ranges::count_if(arrays, [](const float* array) { return array != nullptr; });
  expects<ShapeError>(given == 0 || given == std::ssize(arrays), "attend_paged: read ", read, " has ", given, " of ",
                      std::size(arrays), " arrays of statistics, expected all or none");
}

}  // namespace

void attend_paged(const Context& context, const AttendShape& shape, std::span<const KvRead> reads) {
  check_shape("attend_paged", shape);
  for (std::size_t i = 0; i < reads.size(); ++i) {
    const KvRead& read = reads[i];
    expects<ShapeError>(read.page_count > 0 && read.page_count <= max_read_pages, "attend_paged: read ", i, " has ",
                        read.page_count, " pages, expected 1 to ", max_read_pages);
    expects<ShapeError>(
        read.pages != nullptr && read.queries != nullptr && read.output != nullptr && read.log_sum_exp != nullptr,
        "attend_paged: read ", i, " has a null array");
    check_statistics(i, read.statistics);
  }
  dispatch(
      context, [&] { cpu::attend_paged(context, shape, reads); }, [&] { cuda::attend_paged(context, shape, reads); });
}

AttendRounding attend_rounding(std::size_t page_count) noexcept {
  const double pages = static_cast<double>(page_count);
  AttendRounding rounding;
  // The argument of the exponential is a difference of floats of at most 87, rounded: 2^-18. The exponential itself: 2^-21.
  rounding.weight = 0x1p-18 + 0x1p-21;
  rounding.flushed = 0x1p-125;
  rounding.mass = 0x1p-18;              // 64 additions
  rounding.energy = 0x1p-10 + 0x1p-16;  // two roundings to Half, and 64 additions
  rounding.energy_floor = 0x1p-37;      // norms below 2^-14 of the largest
  // Shares of pages are exponentials of rounded differences, and so are the factors that rescale the sums so far.
  const double shares = 0x1p-17 + 2.0 * pages * 0x1p-24;
  rounding.log_sum_exp = shares;
  // Per page: 64 products, at most three roundings of the sum so far, and two parts of up to 24 value_reach that cancel in
  // part: zero and step of a channel are at most 3 times its largest value, and the norm of 64 largest values at most 8 times
  // value_reach.
  rounding.page_weight = shares + (3.0 * pages + 512.0) * 0x1p-24;
  rounding.token_weight = static_cast<double>(page_tokens) * (0.5 / 32767.0 + 0x1p-23);
  // Per page: a share below 2^-126 may be wrong by all of itself, times a mass of 64; and in each channel some 70 roundings
  // by 2^-150, whose norm is below 2^-139.
  rounding.underflow = pages * 0x1p-118;
  return rounding;
}

}  // namespace mpp::kernels

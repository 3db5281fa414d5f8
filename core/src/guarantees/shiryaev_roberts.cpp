#include <mpp/core/guarantees/shiryaev_roberts.hpp>

#include <algorithm>

#include <mpp/core/error.hpp>

#include "src/guarantees/audit_rounding.hpp"

namespace mpp::guarantees {

// One step rounds (m - 1) a, 1 + it, its inverse, below(), and in observe() (m - 1) x, 1 + it, their product, 1 + R and
// the last product: each can add a part of 2^-53, 9 in all, and below() takes 16. All terms are positive and none is
// near underflow (the inverse is at least 1/12), so no rounding is larger than that.
ShiryaevRoberts::ShiryaevRoberts(Delta allowed) {
  check_allowed("ShiryaevRoberts", allowed);
  for (std::size_t k = 0; k < alternative_count; ++k)
    shrink_[k] = below(1.0 / (1.0 + (odds_ratios[k] - 1.0) * allowed.value), 8.0);
}

ShiryaevRoberts::ShiryaevRoberts(Delta allowed, const PerAlternative& sums) : ShiryaevRoberts(allowed) {
  for (const double sum : sums)
    expects<ValueError>(sum >= 0.0 && sum <= max_sum, "ShiryaevRoberts: a sum is ", sum, ", expected in [0, ", max_sum,
                        "]");
  sums_ = sums;
}

void ShiryaevRoberts::observe(double loss) {
  check_loss("ShiryaevRoberts", loss);
  for (std::size_t k = 0; k < alternative_count; ++k) {
    const double next = (1.0 + sums_[k]) * ((1.0 + (odds_ratios[k] - 1.0) * loss) * shrink_[k]);
    sums_[k] = std::min(next, max_sum);
  }
}

double ShiryaevRoberts::value() const {
  check_rounding("ShiryaevRoberts");
  double sum = 0.0;
  for (const double r : sums_) sum += r;
  // 7 roundings of the sum and 1 of below(), which takes 8; the weight is a power of 2.
  return below(sum, 4.0) * alternative_weight;
}

bool ShiryaevRoberts::alarm(double mean_time) const {
  expects<ValueError>(mean_time >= 1.0 && mean_time <= max_threshold, "ShiryaevRoberts: the mean time is ", mean_time,
                      ", expected in [1, ", max_threshold, "]");
  return value() >= mean_time;
}

}  // namespace mpp::guarantees
